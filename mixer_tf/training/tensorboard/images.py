# SPDX-License-Identifier: Apache-2.0
"""Images in the logs of a training: augmented images, and plots of a Mixer's weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mixer_tf.training.length import TrainingLength
from mixer_tf.training.tensorboard.event_files import RunLog
from mixer_tf.training.tensorboard.scalars import TRAIN, WEIGHTS
from mixer_tf.visualization import filter_plots, filters

_MAX_PLOTS = 10  # of one training
IMAGES = f"{TRAIN}/images"


def is_plotted(epoch: int, epochs: int) -> bool:
    """Whether an epoch, from 0, gets plots: the first, the last, and up to nine in between."""
    return epoch % math.ceil(epochs / _MAX_PLOTS) == 0 or epoch + 1 == epochs


class SampleImages(tf.keras.callbacks.Callback):
    """Logs some augmented training images as one image, once, after the first step.

    The time to the first step is not longer for it.

    Args:
        log: the run.
        read_images: returns the images as the model gets them, [N, S, S, 3] with values 0 to 255.
    """

    _supports_tf_logs = True

    def __init__(self, log: RunLog, read_images: Callable[[], np.ndarray]):
        super().__init__()
        self._log, self._read_images = log, read_images
        self._is_done = log.steps_done > 0

    def on_train_batch_end(self, batch, logs=None):
        if self._is_done:
            return
        self._is_done = True
        images = np.round(np.clip(self._read_images(), 0, 255)).astype(np.uint8)
        columns = math.ceil(math.sqrt(len(images)))
        self._log.write_image(IMAGES, filters.tile(filters.enlarge(images), columns), step=0)
        self._log.flush()


class WeightImages(tf.keras.callbacks.Callback):
    """Logs the plots of `mixer plot filters`: the stem and the first three blocks.

    It does so after the first epoch, the last one, and up to nine in between, and only for Mixers.

    Args:
        log: the run.
        length: the length of the whole training.
    """

    _supports_tf_logs = True

    def __init__(self, log: RunLog, length: TrainingLength):
        super().__init__()
        self._log, self._length = log, length

    def on_epoch_end(self, epoch, logs=None):
        if not is_plotted(epoch, self._length.epochs):
            return
        for name, plot in filter_plots.plot_model_filters(self.model).items():
            self._log.write_image(f"{WEIGHTS}/{name}", plot, step=self._length.end(epoch + 1))
        self._log.flush()
