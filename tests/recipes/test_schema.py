# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import pytest

from mixer_tf import recipes
from mixer_tf.recipes import Recipe, TrainingOptions
from mixer_tf.recipes.schema import DataOptions, ModelOptions, OptimizerOptions


@pytest.fixture
def recipe():
    return recipes.get("digits")


@pytest.mark.parametrize("name", recipes.list_names())
def test_json_round_trip(name):
    recipe = recipes.get(name)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_json_of_an_older_version_takes_defaults(recipe):
    values = json.loads(recipe.to_json())
    del values["training"]["precision"]
    assert Recipe.from_json(json.dumps(values)) == recipe


def test_json_with_an_unknown_field_names_it(recipe):
    values = json.loads(recipe.to_json())
    values["training"]["epocs"] = 3
    with pytest.raises(ValueError, match="training has the fields epochs, .*; got epocs"):
        Recipe.from_json(json.dumps(values))


def test_a_recipe_is_frozen(recipe):
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.training.epochs = 3


@pytest.mark.parametrize(
    ("options", "fields", "message"),
    [
        (TrainingOptions, {"epochs": 0}, "epochs must be 1 or more; got epochs=0"),
        (TrainingOptions, {"loss": "mse"}, "loss must be one of softmax, sigmoid; got loss='mse'"),
        (OptimizerOptions, {"clip_norm": 0}, "clip_norm must be more than 0, or none"),
        (OptimizerOptions, {"ema": 1.0}, r"ema must be in \[0, 1\); got ema=1.0"),
        (DataOptions, {"mixup": -0.1}, "mixup must be 0 or more; got mixup=-0.1"),
        (ModelOptions, {"num_blocks": 0}, "num_blocks must be 1 or more, or none"),
    ],
)
def test_a_forbidden_value_names_the_field_the_rule_and_the_value(options, fields, message):
    with pytest.raises(ValueError, match=message):
        options(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": "3"}, "epochs must be a whole number; got '3'"),
        ({"epochs": 3.5}, "epochs must be a whole number; got 3.5"),
        ({"epochs": True}, "epochs must be a whole number; got True"),
        ({"jit_compile": 1}, "jit_compile must be true or false; got 1"),
    ],
)
def test_a_wrong_type_is_refused(fields, message):
    with pytest.raises(TypeError, match=message):
        TrainingOptions(**fields)


def test_a_whole_number_may_stand_for_a_number():
    assert OptimizerOptions(clip_norm=2).clip_norm == 2.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value):
    with pytest.raises(TypeError, match="learning_rate must be a number"):
        OptimizerOptions(learning_rate=value)


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(ValueError, match="recipe must be one of digits, .*Did you mean digits"):
        recipes.get("digit")
