# SPDX-License-Identifier: Apache-2.0
import click
import pytest
from click.testing import CliRunner

from mixer_tf import recipes
from mixer_tf.cli import options
from mixer_tf.recipes.shortcuts import override


@click.command()
@options.recipe_options()
@options.shortcut_options
def show(recipe_name, overrides, **shortcuts):
    recipe = options.choose_recipe(recipe_name, "digits", overrides, **shortcuts)
    training = recipe.training
    click.echo(f"{training.epochs} {training.batch_size} {recipe.optimizer.learning_rate}")


def test_short_options_change_the_recipe():
    arguments = ["--epochs=5", "--batch-size", "32", "--learning-rate=3e-4"]
    assert CliRunner().invoke(show, arguments).output == "5 32 0.0003\n"
    assert CliRunner().invoke(show, ["--epochs=5.5"]).exit_code == 2


@pytest.mark.parametrize(
    ("overrides", "values", "message"),
    [
        (
            ["training.epochs=7"],
            {"epochs": 5},
            "--epochs and --set training.epochs must not differ; got 5 and 7. Leave one",
        ),
        ([" optimizer.learning_rate = 1e-3"], {"learning_rate": 2e-3}, "got 0.002 and 0.001"),
        (["training.steps=100"], {"epochs": 5}, "got 5 epochs and 100 steps"),
        ([], {"batch_size": 0}, "training.batch_size must be from 1 to"),
    ],
)
def test_contradictions_and_impossible_values_are_refused(overrides, values, message):
    with pytest.raises(ValueError, match=message):
        override(recipes.get("digits"), overrides, values)


def test_the_same_value_twice_is_no_contradiction():
    recipe = override(recipes.get("digits"), ["training.epochs=05"], {"epochs": 5})
    assert recipe.training.epochs == 5


def test_epochs_replace_the_steps_of_a_recipe():
    recipe = recipes.get("digits").override(["training.steps=100"])
    changed = override(recipe, [], {"epochs": 5, "batch_size": None})
    assert (changed.training.epochs, changed.training.steps) == (5, None)
    assert override(recipe, [], {"batch_size": 8}).training.steps == 100
    kept = override(recipe, ["training.steps=none"], {"epochs": 5})
    assert (kept.training.epochs, kept.training.steps) == (5, None)


def test_epochs_replace_the_steps_also_without_the_short_option():
    recipe = recipes.get("finetune_pets")
    assert recipe.training.steps
    changed = recipe.override(["training.epochs=5"])
    assert (changed.training.epochs, changed.training.steps) == (5, None)
    assert recipe.override(["training.steps=7"]).training.steps == 7
    assert recipe.override(["training.steps=none", "training.epochs=5"]) == changed
    with pytest.raises(ValueError, match="must not be given together; got 5 epochs and 7 steps"):
        recipe.override(["training.epochs=5", "training.steps=7"])
