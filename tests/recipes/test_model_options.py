# SPDX-License-Identifier: Apache-2.0
"""A recipe refuses a model that cannot be built when it is made, and takes every field of one."""

import copy
import dataclasses
import json
import pickle
import subprocess
import sys

import pytest

from mixer_tf import recipes
from mixer_tf.models import registry
from mixer_tf.models.bit_config import BiTConfig
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.vit_config import ViTConfig
from mixer_tf.recipes import ModelOptions

# A value that is not the default for every field that a recipe can set.
MIXER_FIELDS = dict(
    patch_size=4,
    num_blocks=2,
    hidden_dim=8,
    tokens_mlp_dim=6,
    channels_mlp_dim=10,
    dropout=0.1,
    stochastic_depth=0.2,
    stochastic_depth_rescaled=True,
    head_bias_init=-2.0,
    exact_gelu=True,
    untied=True,
    channel_groups=2,
    channel_views=True,
    pyramid=(8, 5),
)
VIT_FIELDS = dict(
    patch_size=4,
    num_blocks=2,
    hidden_dim=8,
    channels_mlp_dim=10,
    num_heads=4,
    classifier="gap",
    representation_size=5,
    dropout=0.1,
    attention_dropout=0.3,
    stochastic_depth=0.2,
    stochastic_depth_rescaled=True,
    head_bias_init=-2.0,
)
BIT_FIELDS = dict(
    num_units=(1, 2),
    width=16,
    num_groups=8,
    dropout=0.1,
    stochastic_depth=0.2,
    stochastic_depth_rescaled=True,
    head_bias_init=-2.0,
)
FAMILIES = {
    "mixer": (MixerConfig, MIXER_FIELDS),
    "vit": (ViTConfig, VIT_FIELDS),
    "bit": (BiTConfig, BIT_FIELDS),
}


def as_text(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_the_table_has_every_field_of_every_family():
    assert set(FAMILIES) == set(registry.FAMILIES)
    for config_class, fields in FAMILIES.values():
        known = {field.name for field in dataclasses.fields(config_class)}
        assert known == {*fields, "image_size", "num_classes"}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_of_every_family_can_be_given_and_overridden(family):
    config_class, fields = FAMILIES[family]
    expected = config_class(image_size=16, num_classes=7, **fields)
    options = ModelOptions(name=family, image_size=16, **fields)
    assert options.config(7) == expected
    assert options.fields == fields
    texts = [f"model.{field}={as_text(value)}" for field, value in fields.items()]
    recipe = recipes.get("digits").override([*texts, f"model.name={family}"])
    assert recipe.model.config(7) == expected
    assert recipes.Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("name", ["mixer_s16", "vit_h16", "bit_r50x1"])
def test_json_is_flat_and_has_every_field(name):
    options = ModelOptions(name=name, head_bias_init=-1, weights="imagenet21k")
    values = json.loads(json.dumps(options.to_dict()))
    settable = set(registry.family_of(name).fields) - {"num_classes"}
    assert set(values) == settable | {"name", "weights", "keep_head", "interpolate"}
    assert values["head_bias_init"] == -1.0 and values["weights"] == "imagenet21k"
    assert ModelOptions(**values) == options


def test_fields_that_the_name_stands_for_are_not_stored():
    options = ModelOptions(name="mixer_s16", patch_size=16, num_blocks=None, dropout=0.0)
    assert options.fields == {} and options == ModelOptions(name="mixer_s16")


def test_copies_are_equal_and_stay_frozen():
    options = ModelOptions(name="mixer", image_size=16, **MIXER_FIELDS)
    for other in (copy.deepcopy(options), pickle.loads(pickle.dumps(options))):
        assert other == options and hash(other) == hash(options)
    assert dataclasses.replace(options, image_size=32) == options.replace(image_size=32)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.image_size = 32


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"patch_size": 5}, "patch_size must divide image_size; got patch_size=5, image_size=224"),
        ({"name": "mixer_x9"}, "unknown model 'mixer_x9'"),
        ({"name": "mixer"}, "every dimension; got no patch_size, num_blocks, "),
        ({"num_blocks": 0}, "num_blocks must be at least 1; got 0"),
        ({"image_size": 3}, "image_size must be from 4 to 10,000; got image_size=3"),
        ({"pyramid": (4, 2)}, "pyramid must .* one number of tokens for each block"),
        ({"name": "vit_b16", "num_heads": 5}, "num_heads must divide hidden_dim; got num_heads=5"),
        ({"name": "bit_r50x1", "num_groups": 7}, "num_groups must divide width"),
    ],
)
def test_an_impossible_model_is_refused_when_it_is_made(fields, message):
    with pytest.raises(ValueError, match=message):
        ModelOptions(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_heads": 4}, "got 'num_heads', which Mixer models do not have. Fields: patch_size, "),
        ({"drop_out": 0.1}, "got 'drop_out', which .* do not have. Did you mean dropout?"),
        ({"num_classes": 3}, "got 'num_classes', which Mixer models do not have"),
        ({"name": "bit_r50x1", "patch_size": 8}, "got 'patch_size', which BiT models do not have"),
        ({"exact_gelu": 1}, "exact_gelu must be a boolean; got 1"),
        ({"num_blocks": 2.5}, "num_blocks must be an integer, or none; got 2.5"),
        ({"image_size": (16, 32)}, r"image_size must be an integer; got \(16, 32\)"),
        ({"name": 3}, "name must be a string; got 3"),
        ({"name": "bit", "num_units": "3"}, "num_units must be integers separated by commas, or"),
    ],
)
def test_an_unknown_field_or_a_wrong_type_is_refused_when_it_is_made(fields, message):
    with pytest.raises(TypeError, match=message):
        ModelOptions(**fields)


@pytest.mark.parametrize("order", [1, -1])
def test_a_new_name_brings_its_own_dimensions_unless_they_are_set_with_it(order):
    changes = ["model.name=vit_s16", "model.hidden_dim=192", "model.num_heads=6"]
    recipe = recipes.get("photos").override(changes[::order])
    assert recipe.model.fields == {"hidden_dim": 192, "num_heads": 6, "stochastic_depth": 0.1}
    config = recipe.model.config(10)
    assert (config.patch_size, config.num_blocks, config.channels_mlp_dim) == (16, 12, 1536)
    assert (config.hidden_dim, config.num_heads) == (192, 6)


def test_the_same_name_in_another_spelling_keeps_the_dimensions():
    options = ModelOptions(name="mixer_s16", num_blocks=2)
    assert options.replace(name="S/16").fields == {"num_blocks": 2}
    assert options.replace(name="mixer_s8").fields == {}


def test_a_field_that_the_new_family_lacks_is_an_error_unless_it_is_at_its_default():
    recipe = recipes.get("digits").override(["model.exact_gelu=true"])
    message = "model.name must be that of .* got 'vit_b16', and ViT models have no exact_gelu=True."
    with pytest.raises(ValueError, match=message):
        recipe.override(["model.name=vit_b16"])
    back = recipe.override(["model.exact_gelu=false"])
    assert back.override(["model.name=vit_b16"]).model.fields == {}


def test_an_override_is_checked_against_the_fields_of_the_new_name():
    digits = recipes.get("digits")
    with pytest.raises(ValueError, match="a field of Mixer models; got 'model.num_heads'"):
        digits.override(["model.num_heads=4"])
    with pytest.raises(ValueError, match="a field of ViT models; got 'model.tokens_mlp_dim'"):
        digits.override(["model.tokens_mlp_dim=4", "model.name=vit_b16"])
    with pytest.raises(ValueError, match="^unknown model 'mixer_x9'"):
        digits.override(["model.name=mixer_x9"])


def test_recipes_are_checked_without_tensorflow():
    code = (
        "import sys; from mixer_tf import recipes\n"
        "recipes.get('digits').override(['model.name=vit_b16', 'model.num_heads=4'])\n"
        "print([name for name in ('tensorflow', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
