# SPDX-License-Identifier: Apache-2.0
"""All callbacks that log a training for TensorBoard, in the order in which Keras must call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.input.wait import InputWait
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.tensorboard.confusion import ConfusionImages, ConfusionMatrix
from mixer_tf.training.tensorboard.event_files import RunLog
from mixer_tf.training.tensorboard.hparams import RecipeHParams
from mixer_tf.training.tensorboard.images import SampleImages, WeightImages
from mixer_tf.training.tensorboard.profiling import StepProfiler
from mixer_tf.training.tensorboard.scalars import TensorBoardScalars
from mixer_tf.training.tensorboard.step_scalars import LastPoint, StepScalars


def create_loggers(
    folder: str,
    recipe: Recipe,
    length: TrainingLength,
    steps_done: int = 0,
    *,
    read_images: Callable[[], np.ndarray],
    input_wait: InputWait,
    last_point: LastPoint,
    confusion: ConfusionMatrix | None = None,
    class_names: Sequence[str] = (),
    profile: ProfiledSteps | None = None,
    is_chief: bool = True,
) -> list[tf.keras.callbacks.Callback]:
    """Returns the callbacks; on workers other than the chief, those that the chief depends on.

    Args:
        folder: the folder of the run.
        recipe: the recipe of the training.
        length: the length of the training.
        steps_done: the number of steps up to which an earlier process has logged everything.
        read_images: see `SampleImages`.
        input_wait, last_point: see `StepScalars`.
        confusion: what the evaluation counts; None for no confusion matrix.
        class_names: one name per label; empty for the labels themselves.
        profile: the steps to trace; None for none.
        is_chief: whether this process, of several workers, logs.
    """
    log = RunLog(folder, steps_done) if is_chief else None
    counting = [ConfusionImages(log, confusion, class_names, length)] if confusion else []
    if not log:
        return counting
    profiler = [StepProfiler(folder, profile, length)] if profile else []
    return [
        *profiler,
        SampleImages(log, read_images),
        WeightImages(log, length),
        *counting,
        RecipeHParams(log, recipe, length.steps),
        StepScalars(log, length, recipe.training.batch_size, input_wait, last_point),
        TensorBoardScalars(log, length),  # the last one, which closes the file
    ]
