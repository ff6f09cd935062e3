# SPDX-License-Identifier: Apache-2.0
import dataclasses
import importlib
import json
import pathlib

import pytest

from mixer_tf import recipes
from mixer_tf.models import costs
from mixer_tf.recipes import Recipe, TrainingOptions
from mixer_tf.recipes.schema import DataOptions, OptimizerOptions


@pytest.fixture
def recipe():
    return recipes.get("digits")


@pytest.mark.parametrize("name", recipes.list_names())
def test_json_round_trip(name):
    recipe = recipes.get(name)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_json_of_an_older_version_takes_defaults(recipe):
    values = json.loads(recipe.to_json())
    del values["training"]["precision"], values["model"]["exact_gelu"]
    assert Recipe.from_json(json.dumps(values)) == recipe


def test_json_with_an_unknown_field_names_it(recipe):
    values = json.loads(recipe.to_json())
    values["training"]["epocs"] = 3
    with pytest.raises(ValueError, match="training has the fields epochs, .*; got 'epocs'"):
        Recipe.from_json(json.dumps(values))
    values = json.loads(recipe.to_json())
    values["model"]["num_heads"] = 3
    with pytest.raises(ValueError, match="model has the fields name, .*; got 'num_heads'"):
        Recipe.from_json(json.dumps(values))


def test_a_recipe_is_frozen(recipe):
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.training.epochs = 3


@pytest.mark.parametrize(
    ("options", "fields", "message"),
    [
        (TrainingOptions, {"epochs": 0}, "epochs must be from 1 to 1,000,000; got epochs=0"),
        (TrainingOptions, {"loss": "mse"}, "loss must be one of softmax, sigmoid; got loss='mse'"),
        (OptimizerOptions, {"clip_norm": 0}, "clip_norm must be more than 0, or none"),
        (OptimizerOptions, {"ema": 1.0}, r"ema must be in \[0, 1\); got ema=1.0"),
        (DataOptions, {"mixup": -0.1}, "mixup must be from 0 to 1,000,000,000; got mixup=-0.1"),
        (
            DataOptions,
            {"randaugment_layers": 2, "randaugment_magnitude": 30.0},
            "randaugment_magnitude must be from 0 to 22.4; got randaugment_magnitude=30.0",
        ),
        (
            DataOptions,
            {"randaugment_magnitude": 15.0},
            "randaugment_magnitude must be 0 unless randaugment_layers is at least 1; got .*=15.0",
        ),
        (DataOptions, {"color_jitter": 1.5}, r"color_jitter must be in \[0, 1\]; got .*=1.5"),
        (DataOptions, {"randaugment_layers": -1}, "randaugment_layers must be from 0 to 16; got"),
        (
            DataOptions,
            {"train_crop": "same", "train_shorter_side": 9},
            'train_shorter_side must be none unless train_crop is "inception"; got .*=9',
        ),
    ],
)
def test_a_forbidden_value_names_the_field_the_rule_and_the_value(options, fields, message):
    with pytest.raises(ValueError, match=message):
        options(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": "3"}, "epochs must be an integer; got '3'"),
        ({"epochs": 3.5}, "epochs must be an integer; got 3.5"),
        ({"epochs": True}, "epochs must be an integer; got True"),
        ({"jit_compile": 1}, "jit_compile must be a boolean; got 1"),
    ],
)
def test_a_wrong_type_is_refused(fields, message):
    with pytest.raises(TypeError, match=message):
        TrainingOptions(**fields)


def test_an_integer_is_accepted_as_a_number():
    assert OptimizerOptions(clip_norm=2).clip_norm == 2.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_must_be_finite(value):
    with pytest.raises(TypeError, match="learning_rate must be a number"):
        OptimizerOptions(learning_rate=value)


def test_unknown_recipe_names_the_nearest():
    message = "there is no recipe 'digit'. Did you mean digits.* It must be one of digits, "
    with pytest.raises(ValueError, match=message):
        recipes.get("digit")


def test_every_module_with_recipes_is_found_and_names_are_unique():
    folder = pathlib.Path(recipes.__file__).parent
    modules = [
        importlib.import_module(f"mixer_tf.recipes.{file.stem}")
        for file in folder.glob("*.py")
        if "\nRECIPES = " in file.read_text(encoding="utf-8")
    ]
    names = [recipe.name for module in modules for recipe in module.RECIPES]
    assert len(modules) >= 5
    assert sorted(names) == sorted(recipes.list_names())


def test_recipes_are_listed_from_the_cheapest_model_to_the_most_expensive():
    models = [recipes.get(name).model for name in recipes.list_names()]
    operations = [costs.count_multiply_adds(model.config(1)) for model in models]
    assert operations == sorted(operations)
    assert recipes.list_names()[0] == "digits"
