# SPDX-License-Identifier: Apache-2.0
"""Pictures of a Mixer's weights for TensorBoard, while it learns."""

from __future__ import annotations

import math
import os

import tensorflow as tf

from mixer_tf.visualization import filter_plots

_TIMES = 10  # at most, in one training


class TensorBoardScalars(tf.keras.callbacks.Callback):
    """Writes loss, accuracy, learning rate and examples per second of each epoch for TensorBoard.

    `train` and `eval` are runs of their own, so that one chart shows both curves.
    """

    def __init__(self, folder: str):
        super().__init__()
        self._writers = {
            split: tf.summary.create_file_writer(os.path.join(folder, split))
            for split in ("train", "eval")
        }

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            split = "eval" if name.startswith("val_") else "train"
            with self._writers[split].as_default():
                tf.summary.scalar(name.removeprefix("val_"), value, step=epoch + 1)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()


class WeightImages(tf.keras.callbacks.Callback):
    """Logs the pictures of `mixer plot filters`, of the stem and the first three blocks.

    At the end of the first epoch, of the last one, and of up to nine in between. Of models that are
    no Mixer it logs nothing.

    Args:
        folder: of all logs of the training; the images become a run `weights` of their own.
        epochs: of the whole training.
    """

    def __init__(self, folder: str, epochs: int):
        super().__init__()
        self._folder = os.path.join(folder, "weights")
        self._epochs, self._every = epochs, math.ceil(epochs / _TIMES)

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self._every and epoch + 1 != self._epochs:
            return
        pictures = filter_plots.plot_model_filters(self.model)
        if not pictures:
            return
        with tf.summary.create_file_writer(self._folder).as_default():
            for name, picture in pictures.items():
                tf.summary.image(name, picture[None], step=epoch + 1)
