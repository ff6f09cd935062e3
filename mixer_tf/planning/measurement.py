# SPDX-License-Identifier: Apache-2.0
"""Measures on this machine how long a training takes, by running the beginning of it.

It is the training itself, `trainer.fit`, on a sample of the images: its input pipeline, train step,
evaluation, logs and checkpoints. It ends after about ten seconds.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time

import tensorflow as tf

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.planning.estimate import step_operations
from mixer_tf.training import trainer
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split, open_splits
from mixer_tf.training.plan import Plan

SECONDS = 10.0
_MAX_SAMPLE = 1024
_STEP_SECONDS = 1.0  # of the largest batch that is measured
_EPOCH_SECONDS = 2.0  # so that several epochs end within the measurement
_MIN_UTILIZATION = 0.3  # of the matrix rate, to choose the size of the sample


@dataclasses.dataclass(frozen=True)
class Sample:
    """How many images the measurement needs.

    Attributes:
        batch_size: images per step; less than in the recipe where one step would take too long.
        train, evaluation: numbers of images; no evaluation images where the source has none.
        num_devices: number of devices that share each batch.
    """

    batch_size: int
    train: int
    evaluation: int
    num_devices: int = 1

    @property
    def wanted(self) -> dict[str, int]:
        """Split → number of images."""
        counts = {TRAIN: self.train, EVAL: self.evaluation}
        return {split: count for split, count in counts.items() if count}


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Durations on this machine, in seconds.

    Attributes:
        start: what happens once: until the end of the first step, which compiles, and what the
            first evaluation and the first logs take longer than the others.
        step: seconds of a training step with the recipe's batch size.
        evaluation: seconds of an evaluation batch.
        epoch: what the end of each epoch takes besides: logs and checkpoints.
        batch_size: that was measured; `step` is in proportion.
        matrix_rate: floating-point operations per second of a matrix product, on all devices
            together.
        num_devices: number of devices that share each batch.
    """

    start: float
    step: float
    evaluation: float
    epoch: float
    batch_size: int
    matrix_rate: float
    num_devices: int = 1

    def seconds(self, plan: Plan) -> float:
        """Returns the duration of a whole training."""
        evaluations = math.ceil(plan.num_eval_images / plan.recipe.training.batch_size)
        of_epoch = self.epoch + evaluations * self.evaluation
        return self.start + plan.length.steps * self.step + plan.length.epochs * of_epoch


def count_devices() -> int:
    """Returns the number of GPUs of this machine, all of which train; 1 without a GPU."""
    return max(1, len(tf.config.list_physical_devices("GPU")))


def choose_sample(plan: Plan, matrix_rate: float, num_devices: int = 1) -> Sample:
    """Returns how many images are measured, so that it takes seconds.

    Args:
        plan: the whole training.
        matrix_rate: see `Measurement`.
        num_devices: see `Sample`.
    """
    batch_size = plan.recipe.training.batch_size
    images_per_second = matrix_rate * _MIN_UTILIZATION * batch_size / step_operations(plan)
    part = min(1.0, images_per_second * _STEP_SECONDS / batch_size)
    parts = num_devices * plan.recipe.training.accumulation_steps
    measured = max(parts, parts * int(batch_size * part / parts))
    train = max(2 * measured, min(_MAX_SAMPLE, int(images_per_second * _EPOCH_SECONDS)))
    train = min(train, plan.num_images)
    evaluation = min(plan.num_eval_images, max(train // 4, 1)) if plan.num_eval_images else 0
    batch_size = max(parts, min(measured, train) // parts * parts)
    return Sample(batch_size, train, evaluation, num_devices)


def measure(
    plan: Plan,
    sample: Sample,
    folder: str,
    info: DatasetInfo,
    matrix_rate: float,
    seconds: float | None = None,
) -> Measurement:
    """Runs the beginning of a training.

    Args:
        plan: the whole training.
        sample: what `choose_sample` has returned.
        folder: a folder for the logs and checkpoints, of which "data" holds the images.
        info: describes these images.
        matrix_rate: as above.
        seconds: duration after the first step; None for `SECONDS`.
    """
    splits = open_splits(os.path.join(folder, "data"), info)
    recipe = plan.recipe.replace(
        data=plan.recipe.data.replace(shuffle_buffer=sample.batch_size),
        training=plan.recipe.training.replace(
            batch_size=sample.batch_size, steps=None, epochs=10_000, patience=None
        ),
    )
    clock = _Clock(SECONDS if seconds is None else seconds)
    trainer.fit(
        recipe,
        _like_the_whole(splits[TRAIN], plan),
        splits.get(EVAL),
        strategy=_create_strategy(sample.num_devices),
        checkpoint_dir=os.path.join(folder, "checkpoints"),
        log_dir=os.path.join(folder, "logs"),
        callbacks=[clock],
        verbose=False,
    ).discard_checkpoints()
    scale = plan.recipe.training.batch_size / sample.batch_size
    evaluations = math.ceil(sample.evaluation / sample.batch_size)
    return Measurement(
        start=clock.start + clock.first_epoch,
        step=clock.step * scale,
        evaluation=clock.evaluation / evaluations * scale if evaluations else 0.0,
        epoch=clock.epoch,
        batch_size=sample.batch_size,
        matrix_rate=matrix_rate,
        num_devices=sample.num_devices,
    )


def _create_strategy(num_devices: int) -> tf.distribute.Strategy:
    """Returns that of this machine alone, also where TF_CONFIG lists several workers."""
    return tf.distribute.MirroredStrategy() if num_devices > 1 else tf.distribute.get_strategy()


def _like_the_whole(split: Split, plan: Plan) -> Split:
    """Returns the images as often as it takes to treat them like the whole split.

    A split that fits in the cache is decoded once, and the sample stands for what follows. Any
    other split is decoded in each epoch.
    """
    times, needed = 1, math.ceil(plan.num_images / split.num_examples)
    while times < needed and batches.is_cached(_repeated(split, times), plan.recipe):
        times = min(2 * times, needed)  # what is not cached is large enough
    whole = _repeated(split, times)
    is_small = batches.is_cached(whole, plan.recipe)
    return dataclasses.replace(split if is_small else whole, class_counts=_equal_counts(split))


def _repeated(split: Split, times: int) -> Split:
    return dataclasses.replace(
        split,
        files=split.files * times,
        num_examples=split.num_examples * times,
        class_counts=None,
    )


def _equal_counts(split: Split) -> tuple[int, ...]:
    """Class weights need counts, and take the same time whatever they are."""
    return (1,) * split.num_classes


class _Clock(tf.keras.callbacks.Callback):
    """Measures steps, evaluations and the ends of epochs, and stops the training in time.

    Attributes:
        start: seconds until the end of the first step.
    """

    _supports_tf_logs = True  # otherwise Keras would wait for the result of each step

    def __init__(self, seconds: float):
        super().__init__()
        self._seconds, self._created = seconds, time.monotonic()
        self.start: float | None = None
        self._steps: list[tuple[float, int]] = []  # seconds and steps of each execution
        self._evaluations: list[float] = []
        self._epochs: list[float] = []
        self._step_end = self._epoch_end = None

    @property
    def step(self) -> float:
        """Mean seconds of a step, without the two that each of the first epochs begin with."""
        executions = self._steps[1:] or self._steps
        return sum(seconds for seconds, _ in executions) / sum(count for _, count in executions)

    @property
    def evaluation(self) -> float:
        """Seconds of an evaluation; the first one compiles."""
        found = self._evaluations[1:] or self._evaluations
        return sorted(found)[len(found) // 2] if found else 0.0

    @property
    def first_epoch(self) -> float:
        """Seconds that the first evaluation and end of an epoch took longer than the others."""
        pairs = ((self._evaluations, self.evaluation), (self._epochs, self.epoch))
        return sum(max(found[0] - typical, 0.0) for found, typical in pairs if found)

    @property
    def epoch(self) -> float:
        """Seconds of the end of an epoch, without its evaluation."""
        found = self._epochs[1:] or self._epochs
        return sum(found) / len(found) if found else 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._count_end_of_epoch()
        self._in_epoch, self._batch = False, -1

    def on_train_batch_begin(self, batch, logs=None):
        self._begin = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # waits for the device
        now = time.monotonic()
        count, self._batch = batch - self._batch, batch  # of one execution
        if self.start is None:
            self.start, self._first_end = now - self._created, now
        else:
            seconds = now - (self._step_end if self._in_epoch else self._begin)
            self._steps.append((seconds, count))
        self._step_end, self._in_epoch = now, True
        is_enough = len(self._steps) > 1 and now - self._first_end > self._seconds
        self.model.stop_training = self.model.stop_training or is_enough

    def on_test_begin(self, logs=None):
        self._test_begin = time.monotonic()

    def on_test_end(self, logs=None):
        self._evaluations.append(time.monotonic() - self._test_begin)

    def on_train_end(self, logs=None):
        self._count_end_of_epoch()

    def _count_end_of_epoch(self) -> None:
        """From the end of the last step, which the end of an epoch follows."""
        if self._step_end is not None:
            last = self._evaluations[-1] if self._evaluations else 0.0
            self._epochs.append(time.monotonic() - self._step_end - last)
