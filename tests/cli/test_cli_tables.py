# SPDX-License-Identifier: Apache-2.0
"""The tables of `mixer models` and `mixer recipes`, and their alignment."""

import json

from mixer_tf import recipes
from mixer_tf.console import format_table
from mixer_tf.models import registry


def test_models_shows_the_seven_of_the_paper_with_their_parameters(mixer):
    lines = mixer("models").output.splitlines()
    assert [line.split()[0] for line in lines[1:]] == registry.list_models()
    (b16,) = [line for line in lines if line.startswith("mixer_b16 ")]
    assert b16.split()[1:] == ["16", "12", "768", "384", "3072", "59,880,472", "12.60", "G"]


def test_models_computes_any_size_and_patch(mixer):
    result = mixer("models", "S/8", "--image-size=32", "--num-classes=10")
    expected = registry.describe("mixer_s8", image_size=32, num_classes=10).parameters
    assert result.output.splitlines()[1].startswith("mixer_s8")
    assert f"{expected:,}" in result.output


def test_recipes_shows_each_with_its_summary_in_100_columns(mixer):
    output = mixer("recipes").output
    for name in recipes.list_names():
        assert f"\n{name} " in output
        assert f"\n  {recipes.get(name).summary}\n" in output
    assert max(map(len, output.splitlines())) <= 100


def test_a_recipe_shows_every_field_as_set_takes_it_and_what_it_means(mixer):
    from mixer_tf.recipes import overrides

    recipe = recipes.get("photos")
    output = mixer("recipes", "photos").output
    shown = [line.split()[0] for line in output.splitlines() if "=" in line.split(" ")[0]]
    types = overrides.field_types(recipe.sections())
    assert [field.partition("=")[0] for field in shown] == list(types)
    assert recipe.override(shown) == recipe
    for field in shown:
        line = next(line for line in output.splitlines() if line.startswith(field))
        assert len(line.split()) > 1, f"{field} has no meaning in the docstring"


def test_the_fields_of_a_recipe_are_those_of_its_family(mixer, monkeypatch):
    vit = recipes.get("photos").override(["model.name=vit_s16"])
    monkeypatch.setattr(recipes, "get", lambda name: vit)
    output = mixer("recipes", "photos").output
    assert "\nmodel.num_heads=none " in output and "\nmodel.classifier=token " in output
    assert "attention heads, a divisor of hidden_dim" in " ".join(output.split())
    assert "model.tokens_mlp_dim" not in output and "model.num_classes" not in output


def test_a_recipe_shows_its_commands_its_cost_and_its_result(mixer):
    output = mixer("recipes", "finetune_pets").output
    assert "mixer train --recipe finetune_pets --source tfds:oxford_iiit_pet" in output
    assert "Cost, calculated as" in output and "unmeasured here" in output
    for name in recipes.list_names():
        assert "Result" in recipes.notes(name), name


def test_a_recipe_as_json_is_the_recipe(mixer):
    output = mixer("recipes", "photos", "--json").output
    assert recipes.Recipe.from_json(output) == recipes.get("photos")
    assert json.loads(output)["name"] == "photos"


def test_an_unknown_recipe_names_those_that_exist(mixer):
    output = mixer("recipes", "photo").output
    assert "Did you mean photos?" in output


def test_columns_with_wide_characters_are_aligned():
    table = format_table(("class", "images"), [["猫", "1"], ["été", "12"], ["e\u0301", "3"]])
    expected = ["class  images", "猫          1", "été        12", "e\u0301           3"]
    assert table.splitlines() == expected
