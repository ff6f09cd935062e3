# SPDX-License-Identifier: Apache-2.0
import pytest

from mixer_tf import factory
from mixer_tf.models import registry


@pytest.mark.parametrize("name", ["mixer_s8", "S/8", "s8", "Mixer-S_8"])
def test_a_size_takes_any_patch_in_any_spelling(name):
    config = registry.resolve(name, image_size=32)
    assert registry.canonical_name(name) == "mixer_s8"
    assert (config.patch_size, config.hidden_dim, config.num_tokens) == (8, 512, 16)


def test_overrides_replace_the_dimensions_of_a_name():
    config = registry.resolve("mixer_b64", image_size=(64, 128), num_blocks=2, patch_size=32)
    assert (config.num_blocks, config.hidden_dim, config.grid) == (2, 768, (2, 4))


def test_explicit_dimensions_build_a_model(tiny):
    model = factory.create_model("mixer", **tiny)
    assert model.name == "mixer"
    assert model.output_shape == (None, 5)


def test_missing_dimensions_are_named():
    with pytest.raises(ValueError, match="got no tokens_mlp_dim, channels_mlp_dim. Give them"):
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


def test_create_model_hands_every_choice_on():
    model = factory.create_model(
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
