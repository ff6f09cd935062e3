# SPDX-License-Identifier: Apache-2.0
"""The recipe of a training for TensorBoard's HParams dashboard, which compares trainings.

The dashboard takes the scalars of the same run for the metrics, each with its last value.
"""

from __future__ import annotations

import os

import tensorflow as tf
from tensorboard.plugins.hparams import api_pb2, summary, summary_v2

from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.tensorboard.event_files import RunLog


def hparams_of(recipe: Recipe) -> dict[str, bool | float | str]:
    """Returns every field of a recipe: "optimizer.learning_rate" -> 0.001.

    What is not a number, a boolean or a string becomes a string, as `--set` takes it.
    """
    fields = {
        f"{section}.{name}": value
        for section, options in recipe.sections().items()
        for name, value in options.to_dict().items()
    }
    return {"recipe": recipe.name, **{name: _plain(value) for name, value in fields.items()}}


def _plain(value):
    if value is None:
        return "none"
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return value


class RecipeHParams(tf.keras.callbacks.Callback):
    """Logs the fields of the recipe at the start, and at the end that the training succeeded.

    Args:
        log: the run.
        recipe: the recipe of the training.
        last_step: number of steps of the whole training.
    """

    _supports_tf_logs = True

    def __init__(self, log: RunLog, recipe: Recipe, last_step: int):
        super().__init__()
        self._log, self._recipe, self._last_step = log, recipe, last_step

    def on_train_begin(self, logs=None):
        if self._log.steps_done:
            return  # an earlier process has logged it
        name = os.path.basename(os.path.normpath(self._log.folder))
        start = summary_v2.hparams_pb(hparams_of(self._recipe), trial_id=name)
        self._log.write_summary(start)
        self._log.flush()

    def on_train_end(self, logs=None):
        # After the last step: a training that resumes with nothing left to do logs it again, and
        # `RunLog` removes what an earlier process has logged after the steps that it completed.
        end = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        self._log.write_summary(end, self._last_step + 1)
        self._log.flush()
