# SPDX-License-Identifier: Apache-2.0
"""What a run has changed of its recipe, as options that give the same recipe again."""

import dataclasses

import pytest

from mixer_tf import recipes
from mixer_tf.reports import recipe_changes
from mixer_tf.serving import contract


def test_changes_are_those_fields_that_differ():
    recipe = recipes.get("digits").override(["training.epochs=3", "optimizer.clip_norm=none"])
    base = recipes.get("digits")
    assert recipe_changes.describe(recipe).changes == {
        "training.epochs": (base.training.epochs, 3),
        "optimizer.clip_norm": (base.optimizer.clip_norm, None),
    }
    assert recipe_changes.describe(base).changes == {}
    assert recipe_changes.describe(dataclasses.replace(base, name="mine")).changes is None


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["training.epochs=3", "data.flip=true", "optimizer.clip_norm=none"],
        ["model.name=vit_s16", "training.freeze=stem,block_*"],
        ["model.name=bit_r50x1", "optimizer.learning_rate=3e-4"],
    ],
)
def test_options_give_the_same_recipe_again(changes):
    recipe = recipes.get("photos").override(changes)
    first, *words = recipe_changes.option_words(recipe_changes.describe(recipe))
    assert first == "--recipe=photos" and set(words[::2]) <= {"--set"}
    assert recipes.get("photos").override(words[1::2]) == recipe


def test_a_recipe_from_a_file_is_that_of_the_model_or_named_by_the_user(tmp_path):
    recipe = dataclasses.replace(recipes.get("digits"), name="mine").override(["training.epochs=3"])
    described = recipe_changes.describe(recipe)
    assert recipe_changes.option_words(described) == ["--recipe=FILE"]
    path = tmp_path / contract.EXTRA_ASSETS / contract.RECIPE_FILE
    path.parent.mkdir()
    path.write_text(recipe.to_json())
    assert recipe_changes.option_words(described, model=str(tmp_path)) == [f"--recipe={path}"]
    assert recipes.get(str(path)) == recipe


def test_fields_of_a_search_can_be_left_out():
    found = recipe_changes.describe(recipes.get("digits").override(["training.epochs=3"]))
    assert recipe_changes.option_words(found, ["training.epochs"]) == ["--recipe=digits"]


def test_parameters_are_those_of_the_classes():
    base = recipes.get("digits")
    found = [recipe_changes.describe(base, classes).parameters for classes in (1, 2)]
    assert found[1] - found[0] == base.model.config(1).hidden_dim + 1
