# SPDX-License-Identifier: Apache-2.0
"""The reference models through the same registry, the same recipes and the same export as Mixer."""

import subprocess
import sys

import pytest

from mixer_tf import factory, recipes
from mixer_tf.factory import create_model
from mixer_tf.models import describe, list_models, registry
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.bit_config import BiTConfig
from mixer_tf.models.vit import VisionTransformer
from mixer_tf.models.vit_config import ViTConfig

VIT = dict(image_size=12, patch_size=4, num_blocks=1, hidden_dim=8, channels_mlp_dim=14)
BIT = dict(image_size=12, num_units=(1,), width=8, num_groups=4)


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
def test_explicit_dimensions_build_a_model(name, fields):
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
    """timm's cards count norms and activations too: R50x1 of ImageNet-21k has 4.3 G."""
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


def test_unknown_field_is_told_from_the_fields_of_the_family():
    with pytest.raises(TypeError, match="a ViT has no field 'tokens_mlp_dim'. Did you mean chann"):
        registry.resolve("vit_b16", image_size=224, tokens_mlp_dim=64)
    with pytest.raises(TypeError, match="a BiT has no field 'patch_size'"):
        registry.resolve("bit_r50x1", image_size=224, patch_size=16)


def test_missing_dimensions_are_named():
    with pytest.raises(ValueError, match="got no num_units, width. Give them, or use a name such"):
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
