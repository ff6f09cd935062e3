# SPDX-License-Identifier: Apache-2.0
"""Reads what a training has logged for TensorBoard: its scalars, and its last confusion matrix."""

from __future__ import annotations

import base64
import math

from mixer_tf.reports.facts import TrainingFacts

MAX_POINTS = 500  # of a curve; a longer one is thinned


def read_training(log_dir: str) -> TrainingFacts:
    """Reads the event files of one run of TensorBoard, repeated steps of a restart once.

    Args:
        log_dir: the folder of the event files.
    """
    from tensorboard.backend.event_processing import event_accumulator

    from mixer_tf.training.tensorboard.confusion import CONFUSION

    keep_all = {event_accumulator.TENSORS: 0}
    events = event_accumulator.EventAccumulator(log_dir, size_guidance=keep_all).Reload()
    found = {tag: events.Tensors(tag) for tag in events.Tags()[event_accumulator.TENSORS]}
    times = [event.wall_time for each in found.values() for event in each]
    return TrainingFacts(
        log_dir=log_dir,
        scalars={tag: _curve(each) for tag, each in found.items() if _is_scalar(each[0])},
        confusion=_last_image(found.get(CONFUSION, ())),
        seconds=max(times) - min(times) if times else 0.0,
    )


def _is_scalar(event) -> bool:
    proto = event.tensor_proto
    return not proto.tensor_shape.dim and not proto.string_val


def _curve(events) -> tuple[tuple[int, float | None], ...]:
    from tensorboard.util import tensor_util

    points = [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events]
    finite = [index for index, (_, value) in enumerate(points) if math.isfinite(value)]
    extremes = {best(finite, key=lambda i: points[i][1]) for best in (max, min)} if finite else ()
    stride = 1 if len(points) <= MAX_POINTS else -(-len(points) // (MAX_POINTS - 2))
    kept = sorted({*range(len(points) - 1, -1, -stride), *extremes})  # with the last one
    thinned = [points[index] for index in kept]
    return tuple((step, value if math.isfinite(value) else None) for step, value in thinned)


def _last_image(events) -> str:
    """Base64 of the PNG; TensorBoard stores width, height and then the images."""
    if not events:
        return ""
    return base64.b64encode(events[-1].tensor_proto.string_val[2]).decode()
