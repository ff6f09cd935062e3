# SPDX-License-Identifier: Apache-2.0
"""Curves are those that the training has logged, and are drawn where their values are."""

import base64
import math
import re

import numpy as np
import pytest

from mixer_tf.reports import curves
from mixer_tf.training.tensorboard.event_files import RunLog
from mixer_tf.visualization import curves_svg


def log(folder, values, steps_done=0) -> None:
    run = RunLog(str(folder), steps_done)
    for step, value in values.items():
        run.write_scalar("eval/top_1", value, step)
    run.write_image("eval/confusion", np.full((5, 7, 3), 9, np.uint8), max(values))
    run.flush()
    run.close()


def test_scalars_of_a_resumed_training_are_read_once_each(tmp_path):
    log(tmp_path, {10: 0.25, 20: 0.5, 30: 0.125})
    log(tmp_path, {30: 0.75, 40: math.nan}, steps_done=20)
    found = curves.read_training(str(tmp_path))
    assert found.scalars == {"eval/top_1": ((10, 0.25), (20, 0.5), (30, 0.75), (40, None))}
    assert base64.b64decode(found.confusion).startswith(b"\x89PNG")


def test_long_curves_are_thinned_and_keep_their_end(tmp_path):
    log(tmp_path, {step: step / 4 for step in range(1, 1202)})
    (points,) = curves.read_training(str(tmp_path)).scalars.values()
    assert len(points) <= curves.MAX_POINTS and points[-1] == (1201, 300.25)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.25, 0.5, 0.75, 1.0]),
        (0.13, 0.61, [0, 0.2, 0.4, 0.6, 0.8]),
        (20, 60, [20, 30, 40, 50, 60]),
        (3.0, 3.0, [1, 2, 3, 4, 5]),
    ],
)
def test_ticks_are_round_and_enclose_the_values(low, high, expected):
    found = curves_svg.ticks(low, high)
    assert found[0] <= low and found[-1] >= high
    assert found == pytest.approx(expected)


def test_points_are_drawn_in_proportion():
    svg = curves_svg.plot("t", {"a": [(0, 0.0), (5, 0.5), (10, 1.0)]})
    points = [tuple(map(float, p)) for p in re.findall(r'cx="(.+?)" cy="(.+?)"', svg)]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11) and x0 < x1
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11) and y0 > y2  # upward
    assert "a 0.5 at 5" in svg


def test_a_value_that_is_not_finite_interrupts_the_curve():
    svg = curves_svg.plot("t", {"a": [(0, 1.0), (1, 2.0), (2, None), (3, 1.0), (4, 2.0)]})
    (path,) = re.findall(r'<path d="(.+?)"', svg)
    assert path.count("M") == 2 and path.count("L") == 2
    assert "no finite value" in curves_svg.plot("t", {"a": [(0, None)]})


@pytest.mark.parametrize("best", [500, 501, 777])
def test_a_thinned_curve_keeps_its_best_point(tmp_path, best):
    log(tmp_path, {step: 0.75 if step == best else 0.5 for step in range(1, 1202)})
    (points,) = curves.read_training(str(tmp_path)).scalars.values()
    assert (best, 0.75) in points and len(points) <= curves.MAX_POINTS
