# SPDX-License-Identifier: Apache-2.0
"""A damaged recipe is one ValueError that names the field; a field of absurd size is refused."""

import json
import pathlib

import mutations
import pytest

from mixer_tf import recipes
from mixer_tf.export.loading import open_export
from mixer_tf.recipes import Recipe

SCRIPT = pathlib.Path(__file__).parents[1] / "mutated" / "read_recipes.py"
RECIPE = recipes.get("digits").to_dict()
NINES = "9" * 30


@pytest.mark.parametrize("count", [600, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["digits", "finetune_pets"])
def test_a_mutated_recipe_is_read_or_is_one_clear_error(name, count):
    findings = mutations.run(str(SCRIPT), name, count)
    findings.require_none()
    assert 0 < findings.accepted < count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a recipe must be JSON, as `to_json` writes it"),
        ('{"name": ', "a recipe must be JSON, as `to_json` writes it"),
        ("[" * 100_000, "a recipe must be JSON, as `to_json` writes it"),
        ("[]", r"a recipe must be a JSON object; got \[\]"),
        ("null", "a recipe must be a JSON object; got None"),
        ("{}", "a recipe must have a name and a summary"),
        (json.dumps(RECIPE | {"data": []}), r"data must be a JSON object with fields; got \[\]"),
        (json.dumps(RECIPE | {"name": 3}), "the name of a recipe must be a string; got 3"),
        (json.dumps(RECIPE | {"summary": 3}), "summary must be a string; got 3"),
        (json.dumps(RECIPE | {"model": {"name": [1]}}), "the name of a model must be a string"),
        (json.dumps(RECIPE | {"model": {"name": "x"}}), "unknown model 'x'"),
        (json.dumps(RECIPE | {"training": {"epochs": "3"}}), "training.epochs must be an integer"),
        (json.dumps(RECIPE | {"optimizer": {"ema": 2}}), r"optimizer.ema must be in \[0, 1\)"),
        (json.dumps(RECIPE | {"training": {"seed": 10**30}}), "training.seed must be from 0 to 4"),
        (json.dumps(RECIPE | {"training": {"seed": 10**999}}), "training.seed must be from 0 to 4"),
        (
            json.dumps(RECIPE | {"data": {"mixup": 10**999}}),
            "data.mixup must be a number; got 1000",
        ),
    ],
)
def test_a_damaged_recipe_is_an_error_that_names_the_field(text, message):
    with pytest.raises(ValueError, match=message) as error:
        Recipe.from_json(text)
    assert len(str(error.value)) < 700


def test_the_error_for_a_damaged_recipe_of_a_model_names_the_file(tmp_path):
    path = tmp_path / "assets.extra" / "recipe.json"
    path.parent.mkdir()
    (tmp_path / "saved_model.pb").touch()
    path.write_text('{"name": "digits", ')
    with pytest.raises(ValueError, match=f"^{path} cannot be used: a recipe must be JSON"):
        open_export(str(tmp_path))


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("training.batch_size", "from 1 to 1,048,576"),
        ("training.epochs", "from 1 to 1,000,000"),
        ("training.steps", "from 1 to 1,000,000,000, or none"),
        ("training.seed", "from 0 to 4,294,967,295"),
        ("optimizer.warmup_steps", "from 0 to 1,000,000,000"),
        ("optimizer.learning_rate", "more than 0 and at most 1,000,000,000"),
        ("data.shuffle_buffer", "from 1 to 1,000,000,000"),
        ("data.shift", "from 0 to 10,000"),
        ("data.train_shorter_side", "from 1 to 10,000, or none"),
        ("data.mixup", "from 0 to 1,000,000,000"),
        ("model.image_size", "from 4 to 10,000"),
        ("model.patch_size", "at most 16,777,216"),
        ("model.num_blocks", "at most 10,000"),
        ("model.hidden_dim", "at most 16,777,216"),
        ("model.tokens_mlp_dim", "at most 16,777,216"),
        ("model.channels_mlp_dim", "at most 16,777,216"),
        ("model.channel_groups", "at most 16,777,216"),
    ],
)
def test_an_absurd_size_is_refused(field, rule):
    base = recipes.get("photos")
    for text in (NINES, "9" * 5000):
        with pytest.raises(ValueError, match=f"{field} must be ({rule}|an integer|a number)") as e:
            base.override([f"{field}={text}"])
        assert len(str(e.value)) < 200


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.num_blocks=9999", "model.hidden_dim=9999999"],
        ["model.name=vit", "model.patch_size=8", "model.num_blocks=9999", "model.hidden_dim=99999"]
        + ["model.channels_mlp_dim=99999", "model.num_heads=3"],
        ["model.name=bit", "model.width=9999968", "model.num_units=2,3", "model.num_groups=32"],
        ["model.name=mixer_s16", "model.hidden_dim=16777216", "model.untied=true"],
    ],
)
def test_sizes_that_are_absurd_together_are_refused(overrides):
    base = recipes.get("digits").override(["model.image_size=64"])
    with pytest.raises(ValueError, match="a model must have at most 100,000,000,000 parameters; "):
        base.override(overrides)


@pytest.mark.parametrize("name", ["mixer_s" + NINES, "vit_b" + NINES, "bit_r50x" + NINES])
def test_a_name_with_an_absurd_number_is_not_known(name):
    with pytest.raises(ValueError, match="unknown model"):
        recipes.get("photos").override([f"model.name={name}"])
