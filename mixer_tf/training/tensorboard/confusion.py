# SPDX-License-Identifier: Apache-2.0
"""The confusion matrix of the evaluation split, counted by the evaluation that runs in any case."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.training.autograph import without_autograph
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.tensorboard.event_files import RunLog
from mixer_tf.training.tensorboard.images import is_plotted
from mixer_tf.training.tensorboard.scalars import EVAL
from mixer_tf.visualization.confusion_plot import plot_confusion

CONFUSION = f"{EVAL}/confusion"
MAX_CLASSES = 1000  # the matrix of more classes has millions of cells, nearly all of them empty


class ConfusionMatrix(tf.keras.metrics.Metric):
    """Counts the images of each true class (row) and predicted class (column).

    Shape of `result()`: float [C, C].

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int):
        super().__init__(name="confusion_matrix", dtype="float32")
        self._num_classes = num_classes
        self._counts = self.add_weight("counts", (num_classes, num_classes), initializer="zeros")

    def reset_state(self):  # that of Keras assigns a scalar
        self._counts.assign(tf.zeros_like(self._counts))

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch of one-hot labels and logits, [N, C] each; padding has weight 0."""
        is_image = None if sample_weight is None else tf.cast(sample_weight > 0, tf.float32)
        labels, predictions = tf.argmax(y_true, axis=-1), tf.argmax(y_pred, axis=-1)
        self._counts.assign_add(
            tf.math.confusion_matrix(
                labels, predictions, self._num_classes, is_image, dtype=tf.float32
            )
        )

    def result(self):
        return tf.convert_to_tensor(self._counts)


def count_confusion(model: tf.keras.Model, num_classes: int) -> ConfusionMatrix | None:
    """Makes the evaluation of a compiled model count; call it within the strategy's scope.

    Returns:
        What is counted; None where there are more than `MAX_CLASSES` classes.
    """
    if num_classes > MAX_CLASSES:
        return None
    matrix = ConfusionMatrix(num_classes)

    def test_step(data):
        x, y, sample_weight = tf.keras.utils.unpack_x_y_sample_weight(data)
        y_pred = model(x, training=False)
        model.compute_loss(x, y, y_pred, sample_weight)
        matrix.update_state(y, y_pred, sample_weight)
        return model.compute_metrics(x, y, y_pred, sample_weight)

    model.test_step = without_autograph(test_step)
    return matrix


class ConfusionImages(tf.keras.callbacks.Callback):
    """Logs the confusion matrix of the first epoch, the last one and up to nine in between.

    Every worker must have this callback: reading what all of them counted takes all of them.

    Args:
        log: the run; None on workers that do not log.
        matrix: what the evaluation counts.
        class_names: one name per label; empty for the labels themselves.
        length: the length of the whole training.
    """

    _supports_tf_logs = True

    def __init__(
        self,
        log: RunLog | None,
        matrix: ConfusionMatrix,
        class_names: Sequence[str],
        length: TrainingLength,
    ):
        super().__init__()
        self._log, self._matrix, self._class_names = log, matrix, class_names
        self._length = length

    def on_test_begin(self, logs=None):
        self._matrix.reset_state()

    def on_epoch_end(self, epoch, logs=None):
        if not is_plotted(epoch, self._length.epochs):
            return
        counts = np.asarray(self._matrix.result())
        if self._log:
            plot = plot_confusion(counts, self._class_names)
            self._log.write_image(CONFUSION, plot, step=self._length.end(epoch + 1))
            self._log.flush()
