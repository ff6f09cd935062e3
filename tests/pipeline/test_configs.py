# SPDX-License-Identifier: Apache-2.0
"""PipelineConfig refuses bad values with a clear message."""

import pytest

from mixer_tf import recipes
from pipeline.configs import PipelineConfig


def _config(**changes) -> PipelineConfig:
    fields = {"name": "n", "root": "/r", "source": "digits", "recipe": recipes.get("digits")}
    return PipelineConfig(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name must not be empty"),
        ({"min_accuracy": 96}, "min_accuracy must be a fraction from 0 to 1; got 96"),
        ({"max_accuracy_drop": -0.1}, "max_accuracy_drop must be a fraction"),
        (
            {"recipe": recipes.get("photos").override(["data.train_shorter_side=3"])},
            "data.train_shorter_side must be at least 4 pixels; got 3",
        ),
        ({"deduplicate": "no"}, "deduplicate must be one of remove, mark, report, off; got 'no'"),
        ({"duplicate_threshold": 0.1}, "threshold must be between 0.2 and 1; got threshold=0.1"),
        (
            {"deduplicate": "off", "downstream_test_sets": ("digits",)},
            "downstream_test_sets must not be given with deduplicate='off'",
        ),
    ],
)
def test_bad_value_is_refused_with_the_rule(changes, message):
    with pytest.raises(ValueError, match=message):
        _config(**changes)


def test_models_are_served_from_the_root_unless_told_otherwise():
    assert _config().serving_path == "/r/serving"
    assert _config(serving_dir="/models/digits").serving_path == "/models/digits"
