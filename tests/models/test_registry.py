# SPDX-License-Identifier: Apache-2.0
"""All families with the same registry, recipes and `create_model`."""

import subprocess
import sys

import pytest
from harness import TINY_MIXER

from mixer_tf import factory, recipes
from mixer_tf.factory import create_model
from mixer_tf.models import describe, list_models, registry
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.bit_config import BiTConfig
from mixer_tf.models.vit import VisionTransformer
from mixer_tf.models.vit_config import ViTConfig

VIT = dict(image_size=12, patch_size=4, num_blocks=1, hidden_dim=8, channels_mlp_dim=14)
BIT = dict(image_size=12, num_units=(1,), width=8, num_groups=4)


@pytest.mark.parametrize("name", ["mixer_s8", "S/8", "s8", "Mixer-S_8"])
def test_a_size_can_have_any_patch_size_in_any_spelling(name):
    config = registry.resolve(name, image_size=32)
    assert registry.canonical_name(name) == "mixer_s8"
    assert (config.patch_size, config.hidden_dim, config.num_tokens) == (8, 512, 16)


def test_overrides_replace_the_dimensions_of_a_name():
    config = registry.resolve("mixer_b64", image_size=(64, 128), num_blocks=2, patch_size=32)
    assert (config.num_blocks, config.hidden_dim, config.grid) == (2, 768, (2, 4))


def test_explicit_dimensions_build_a_model():
    model = create_model("mixer", **TINY_MIXER)
    assert model.name == "mixer"
    assert model.output_shape == (None, 5)


def test_missing_dimensions_are_named():
    with pytest.raises(ValueError, match="got no tokens_mlp_dim, channels_mlp_dim. Add them"):
        registry.resolve("mixer", image_size=32, patch_size=4, num_blocks=2, hidden_dim=8)


@pytest.mark.parametrize("name", ["mixer_x16", "mixer_s0", "mixer_s", "mixer_s16_imagenet"])
def test_unknown_model_names_the_nearest_and_all(name):
    message = f"unknown model '{name}'. Did you mean .*mixer_s16.*Models: mixer_s32, .*mixer_h14;"
    with pytest.raises(ValueError, match=message):
        registry.resolve(name, image_size=224)


def test_unknown_field_names_the_nearest_and_all():
    message = "no field 'num_block'. Did you mean num_blocks.*Fields: image_size, patch_size"
    with pytest.raises(TypeError, match=message):
        registry.resolve("mixer_s16", image_size=224, num_block=2)


def test_create_model_passes_every_argument_on():
    model = create_model(
        "S/16",
        image_size=32,
        num_classes=3,
        dtype="mixed_bfloat16",
        num_blocks=1,
        stochastic_depth=0.2,
    )
    assert model.name == "mixer_s16"
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert model.config == registry.resolve(
        "mixer_s16", image_size=32, num_classes=3, num_blocks=1, stochastic_depth=0.2
    )


def test_names_build_the_reference_models():
    vit = create_model("ViT-S/16", image_size=32, num_blocks=1, num_classes=3, dropout=0.1)
    assert type(vit) is VisionTransformer and vit.name == "vit_s16"
    assert vit.config == ViTConfig(
        image_size=32,
        patch_size=16,
        num_blocks=1,
        hidden_dim=384,
        channels_mlp_dim=1536,
        num_heads=6,
        num_classes=3,
        dropout=0.1,
    )
    bit = create_model("BiT-R50x1", image_size=32, num_units=(1, 1), num_classes=3)
    assert type(bit) is BiTResNet and bit.name == "bit_r50x1"
    assert bit.config == BiTConfig(image_size=32, num_units=(1, 1), width=64, num_classes=3)


@pytest.mark.parametrize("name, fields", [("vit", VIT), ("bit", BIT)])
def test_explicit_dimensions_build_a_reference_model(name, fields):
    model = create_model(name, **fields, num_classes=5, dtype="mixed_bfloat16")
    assert (model.name, model.output_shape) == (name, (None, 5))
    assert model.dtype_policy.name == "mixed_bfloat16"


def test_lists_and_costs_need_no_tensorflow():
    code = (
        "import sys, mixer_tf\n"
        "from mixer_tf.models import registry\n"
        "names = [*mixer_tf.list_models('vit'), *mixer_tf.list_models('bit')]\n"
        "print(*[registry.describe(name).parameters for name in names])\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    counts = dict(zip([*list_models("vit"), *list_models("bit")], run.stdout.split(), strict=True))
    assert counts["vit_b16"] == "86567656" and counts["bit_r50x1"] == "25549352"


def test_multiply_adds_are_near_the_published_ones():
    """timm's model cards also count norms and activations: 4.3 G for R50x1 on ImageNet-21k."""
    assert describe("bit_r50x1", num_classes=21_843).multiply_adds / 1e9 == pytest.approx(
        4.13, abs=0.01
    )
    assert describe("vit_b16").multiply_adds / 1e9 == pytest.approx(17.56, abs=0.01)


def test_unknown_family_names_those_that_exist():
    with pytest.raises(ValueError, match="family must be one of mixer, vit, bit; got 'resnet'"):
        list_models("resnet")


def test_unknown_model_names_the_nearest_of_all_families():
    with pytest.raises(ValueError, match="unknown model 'bit_r51x1'. Did you mean bit_r50x1"):
        registry.resolve("bit_r51x1", image_size=224)


def test_unknown_field_names_those_of_the_family():
    with pytest.raises(TypeError, match="a ViT has no field 'tokens_mlp_dim'. Did you mean chann"):
        registry.resolve("vit_b16", image_size=224, tokens_mlp_dim=64)
    with pytest.raises(TypeError, match="a BiT has no field 'patch_size'"):
        registry.resolve("bit_r50x1", image_size=224, patch_size=16)


def test_missing_dimensions_of_a_bit_are_named():
    with pytest.raises(ValueError, match="got no num_units, width. Add them, or use a name such"):
        registry.resolve("bit", image_size=224)


def test_a_recipe_builds_a_vit():
    recipe = recipes.get("digits").override(
        [
            *("model.name=vit", "model.patch_size=4", "model.num_blocks=1"),
            *("model.hidden_dim=64", "model.channels_mlp_dim=256"),
        ]
        + ["model.dropout=0.1", "model.stochastic_depth=0.2", "model.head_bias_init=-2"]
    )
    model = factory.from_recipe(recipe, num_classes=10)
    assert type(model) is VisionTransformer
    assert model.output_shape == (None, 10)
    config = model.config
    assert (config.dropout, config.stochastic_depth, config.head_bias_init) == (0.1, 0.2, -2)


@pytest.mark.slow
def test_a_recipe_builds_a_bit():
    recipe = recipes.get("digits").override(["model.name=bit_r50x1"])
    model = factory.from_recipe(recipe, num_classes=10)
    assert type(model) is BiTResNet
    assert model.output_shape == (None, 10)
