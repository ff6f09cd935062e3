# SPDX-License-Identifier: Apache-2.0
"""Models with published weights: a small file is stored where the download would be."""

import dataclasses
import os

import numpy as np
import pytest

import mixer_tf
from mixer_tf import factory, recipes
from mixer_tf.checkpoints import KNOWN
from mixer_tf.checkpoints.downloading import cached_path
from mixer_tf.factory import from_preset

NAME = "mixer_b32_sam"
SMALL = dict(num_blocks=2, hidden_dim=8, tokens_mlp_dim=4, channels_mlp_dim=12)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A model of three classes whose weights are stored at the path for `NAME`."""
    monkeypatch.setenv("MIXER_TF_CACHE", str(tmp_path))
    monkeypatch.setitem(KNOWN, NAME, dataclasses.replace(KNOWN[NAME], num_classes=3, image_size=64))
    model = mixer_tf.create_model("mixer_b32", image_size=64, num_classes=3, **SMALL)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.weights])
    path = cached_path(KNOWN[NAME].url)
    os.makedirs(os.path.dirname(path))
    mixer_tf.save_npz(model, path)
    return model


def test_published_weights_are_loaded_unchanged(published, assert_same_weights):
    assert_same_weights(from_preset(NAME, **SMALL), published)
    assert_same_weights(from_preset(NAME, num_classes=3, **SMALL), published)


def test_another_number_of_classes_makes_a_new_head(published):
    model = from_preset(NAME, num_classes=10, dropout=0.1, **SMALL)
    assert model.config.num_classes == 10 and model.config.dropout == 0.1
    np.testing.assert_array_equal(model.get_layer("head").kernel, 0)
    np.testing.assert_array_equal(
        model.get_layer("stem").kernel, published.get_layer("stem").kernel
    )


def test_zero_classes_return_features(published):
    assert from_preset(NAME, num_classes=0, **SMALL).output_shape == (None, 8)


def test_a_larger_image_size_is_upscaled(published, assert_same_weights):
    model = from_preset(NAME, image_size=128, **SMALL)
    assert_same_weights(model, mixer_tf.upscale(published, factor=2))
    with pytest.raises(ValueError, match="multiple of the model's, 64x64 pixels; got 96x96"):
        from_preset(NAME, image_size=96, **SMALL)
    assert from_preset(NAME, image_size=96, interpolate=True, **SMALL).config.grid == (3, 3)


def test_the_configuration_is_known_before_the_weights_are_downloaded(published, monkeypatch):
    recipe = recipes.get("photos").override(
        [f"model.weights={NAME}", "model.name=mixer_b32", "model.image_size=128"]
    )
    recipe = recipe.replace(model=recipe.model.replace(**SMALL))
    built = factory.from_recipe(recipe, 5).config
    assert built.tokens_mlp_dim == 4 * SMALL["tokens_mlp_dim"]
    monkeypatch.setenv("MIXER_TF_CACHE", "/nowhere")
    assert factory.config_from_recipe(recipe, 5) == built


# The same through create_model.


@pytest.mark.parametrize("weights", ["sam", NAME])
def test_published_weights_by_name(published, assert_same_weights, weights):
    assert_same_weights(mixer_tf.create_model("B/32", weights=weights, **SMALL), published)
    assert_same_weights(mixer_tf.MlpMixer.from_preset(NAME, **SMALL), published)


def test_weights_by_path(published, tmp_path, assert_same_weights):
    path = tmp_path / "mine.npz"
    mixer_tf.save_npz(published, path)
    assert_same_weights(mixer_tf.create_model("mixer_b32", weights=path, **SMALL), published)
    larger = mixer_tf.create_model("mixer_b32", weights=path, image_size=(128, 128), **SMALL)
    assert_same_weights(larger, mixer_tf.upscale(published, factor=2))


def test_an_upscaled_checkpoint_keeps_its_width(published, tmp_path, assert_same_weights):
    path = tmp_path / "larger.npz"
    larger = mixer_tf.upscale(published, factor=2)
    mixer_tf.save_npz(larger, path)
    fields = {name: value for name, value in SMALL.items() if name != "tokens_mlp_dim"}
    assert_same_weights(mixer_tf.create_model("mixer_b32", weights=path, **fields), larger)


def test_weights_for_images_that_are_not_square(tmp_path, assert_same_weights):
    wide = mixer_tf.create_model("mixer_b32", image_size=(64, 96), num_classes=3, **SMALL)
    mixer_tf.save_npz(wide, tmp_path / "wide.npz")
    options = dict(weights=tmp_path / "wide.npz", **SMALL)
    assert_same_weights(mixer_tf.create_model("mixer_b32", image_size=(64, 96), **options), wide)


def test_weights_of_another_family(published, tmp_path):
    vit = dict(num_blocks=1, hidden_dim=8, channels_mlp_dim=12, num_heads=2)
    model = mixer_tf.create_model("vit_b32", image_size=64, num_classes=5, **vit)
    mixer_tf.save_npz(model, tmp_path / "vit.npz")
    other = mixer_tf.create_model("vit_b32", weights=tmp_path / "vit.npz", image_size=64, **vit)
    for weight, expected in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected, err_msg=weight.name)
    mixer_tf.save_npz(published, tmp_path / "mixer.npz")
    with pytest.raises(ValueError, match="This is not a ViT checkpoint"):
        mixer_tf.create_model("vit_b32", weights=tmp_path / "mixer.npz", image_size=64, **vit)


def test_an_error_for_unknown_weights_lists_the_published_ones():
    with pytest.raises(ValueError, match="got imagenet. Published for mixer_b16: .*imagenet21k"):
        mixer_tf.create_model("mixer_b16", weights="imagenet")
    with pytest.raises(ValueError, match="must be one of .*; got 'imagenet21k'"):
        mixer_tf.MlpMixer.from_preset("imagenet21k")
