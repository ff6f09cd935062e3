# SPDX-License-Identifier: Apache-2.0
"""The recipes that a study compares: names of models, of recipes, and changes of all or one."""

import pytest

from mixer_tf import recipes
from mixer_tf.models import registry
from mixer_tf.studies.compared_recipes import compared_recipes, uses_base

BASE = recipes.get("photos")


def test_without_names_the_recipe_is_alone():
    found = compared_recipes(BASE, [], ["training.epochs=3"])
    assert found == {"photos": BASE.override(["training.epochs=3"])}


def test_a_model_is_trained_as_the_recipe_says_and_a_recipe_as_it_says_itself():
    found = compared_recipes(BASE, ["vit_s16", "cifar10_bit", "photos"])
    assert list(found) == ["vit_s16", "cifar10_bit", "photos"]
    assert found["vit_s16"] == BASE.override(["model.name=vit_s16"])
    assert found["cifar10_bit"] == recipes.get("cifar10_bit") and found["photos"] == BASE


def test_changes_of_all_and_of_one():
    found = compared_recipes(
        BASE,
        ["mixer_s16", "vit_s16"],
        ["training.epochs=3", "vit_s16:training.epochs=4", "vit_s16:model.num_heads=3"],
    )
    assert [recipe.training.epochs for recipe in found.values()] == [3, 4]
    assert found["vit_s16"].model.config(2).num_heads == 3


def test_the_name_and_the_changes_are_applied_at_once():
    """Patches of 16 pixels do not fit 20 pixels, but those of 10 pixels do."""
    small = recipes.get("photos").override(["model.name=mixer_s10", "model.image_size=20"])
    found = compared_recipes(small, ["vit_s16"], ["vit_s16:model.patch_size=10"])
    assert found["vit_s16"].model.config(2).patch_size == 10


def test_no_recipe_has_the_name_of_a_model():
    for name in recipes.list_names():
        with pytest.raises(ValueError, match="unknown model"):
            registry.find(name)


@pytest.mark.parametrize(
    ("names", "assignments", "message"),
    [
        (["mixer_s16", "mixer_s16"], [], "the models must be different; got mixer_s16 twice"),
        (["mixer_q16"], [], "name of a model or of a recipe.*got 'mixer_q16'.*mean mixer_s16"),
        (["vit_s16"], ["bit:model.width=4"], "must be one of vit_s16; got 'bit:model.width=4'"),
        (["vit_s16"], ["model.tokens_mlp_dim=4"], "vit_s16: an override must name a field of ViT"),
    ],
)
def test_errors(names, assignments, message):
    with pytest.raises(ValueError, match=message):
        compared_recipes(BASE, names, assignments)


def test_whether_the_recipe_is_used():
    assert uses_base([]) and uses_base(["vit_s16", "cifar10_bit"])
    assert not uses_base(["cifar10_bit", "best.json"])
