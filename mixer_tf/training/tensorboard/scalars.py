# SPDX-License-Identifier: Apache-2.0
"""The scalars of each epoch: Keras' logs under the tags that TensorBoard groups."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.serving import contract
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.tensorboard.event_files import RunLog

TRAIN, EVAL, WEIGHTS = "train", "eval", "weights"
WEIGHT_NORM = "weight_norm"
EVALUATION_PREFIX = "val_"  # that of Keras


def tag_of(name: str, train: str = TRAIN) -> str:
    """Returns the tag of a metric of Keras' logs: "val_accuracy" -> "eval/top_1".

    Args:
        name: the name in the logs.
        train: the group of those that are not of the evaluation.
    """
    if name == WEIGHT_NORM:
        return f"{WEIGHTS}/norm"
    group = EVAL if name.startswith(EVALUATION_PREFIX) else train
    name = name.removeprefix(EVALUATION_PREFIX)
    tags = {
        "accuracy": "top_1",
        contract.top_k_metric(): f"top_{contract.TOP_K}",
        "examples_per_second": "images_per_second",
    }
    return f"{group}/{tags.get(name, name)}"


class TensorBoardScalars(tf.keras.callbacks.Callback):
    """Writes the logs of each epoch: losses, accuracies, norms, learning rate, throughput.

    They are those of Keras, averaged over the epoch, and `weights/norm`: the L2 norm of all
    trainable weights together at the end of the epoch, not of their moving average. The x axis is
    the number of steps done.

    Args:
        log: the run.
        length: the length of the whole training.
    """

    _supports_tf_logs = True

    def __init__(self, log: RunLog, length: TrainingLength):
        super().__init__()
        self._log, self._length = log, length

    def on_epoch_end(self, epoch, logs=None):
        values = {**logs, WEIGHT_NORM: weight_norm(self.model)}
        for name, value in values.items():
            self._log.write_scalar(tag_of(name), float(value), self._length.end(epoch + 1))
        self._log.flush()

    def on_train_end(self, logs=None):
        self._log.close()


def weight_norm(model: tf.keras.Model) -> tf.Tensor:
    """Returns the L2 norm of all trainable weights together, a float32 scalar."""
    return tf.linalg.global_norm([tf.cast(w, tf.float32) for w in model.trainable_variables])
