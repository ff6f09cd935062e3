# SPDX-License-Identifier: Apache-2.0
"""What a training logs for TensorBoard: scalars, and plots of a Mixer's weights."""

from __future__ import annotations

import math
import os

import tensorflow as tf

from mixer_tf.visualization import filter_plots

_MAX_PLOTS = 10  # of one training


class TensorBoardScalars(tf.keras.callbacks.Callback):
    """Writes the logs of each epoch: loss, accuracy, gradient norm, learning rate, throughput.

    `train` and `eval` are separate runs, so that one chart shows both curves.

    Args:
        folder: folder of all logs of the training.
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
    """Logs the plots of `mixer plot filters`: the stem and the first three blocks.

    It does so after the first epoch, the last one, and up to nine in between, and only for Mixers.

    Args:
        folder: folder of all logs of the training; the plots become a separate run `weights`.
        epochs: number of epochs of the whole training.
    """

    def __init__(self, folder: str, epochs: int):
        super().__init__()
        self._folder = os.path.join(folder, "weights")
        self._epochs, self._every = epochs, math.ceil(epochs / _MAX_PLOTS)

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self._every and epoch + 1 != self._epochs:
            return
        plots = filter_plots.plot_model_filters(self.model)
        if not plots:
            return
        with tf.summary.create_file_writer(self._folder).as_default():
            for name, plot in plots.items():
                tf.summary.image(name, plot[None], step=epoch + 1)
