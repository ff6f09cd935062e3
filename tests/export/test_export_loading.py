# SPDX-License-Identifier: Apache-2.0
"""From one exported model to another, through what TensorFlow alone can load."""

import harness
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf
from mixer_tf import factory, recipes
from mixer_tf.checkpoints import convert
from mixer_tf.export import saved_model
from mixer_tf.export.loading import upscale_export

CLASS_NAMES = ("red", "green", "bläulich 青")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(path, model, recipe) of a model for 16x16 pixels, with random weights."""
    recipe = recipes.get("photos").override(
        [
            *("model.name=mixer", "model.image_size=16", "model.patch_size=4"),
            *("model.num_blocks=2", "model.hidden_dim=8"),
            *("model.tokens_mlp_dim=6", "model.channels_mlp_dim=10"),
        ]
    )
    model = factory.from_recipe(recipe, len(CLASS_NAMES))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.weights])
    path = tmp_path_factory.mktemp("model") / "serving" / "1"
    saved_model.export_saved_model(model, recipe, CLASS_NAMES, str(path))
    return path, model, recipe


def _assert_same_weights(model, other):
    for weight, same in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_an_exported_model_is_a_checkpoint(exported, tmp_path):
    path, model, recipe = exported
    for folder in (path, path.parent, path.parents[1]):
        other = factory.from_recipe(recipe, len(CLASS_NAMES))
        mixer_tf.load_weights(other, folder)
        _assert_same_weights(other, model)
    convert(path, tmp_path / "model.npz")
    mixer_tf.load_weights(other, tmp_path / "model.npz")
    _assert_same_weights(other, model)


def test_the_larger_export_answers_for_a_repeated_image_as_the_smaller(exported, tmp_path):
    path, _, recipe = exported
    larger = upscale_export(str(path), str(tmp_path / "1"), factor=2)
    assert larger.model.image_size == 32 and larger.model.fields["tokens_mlp_dim"] == 24
    assert larger.training == recipe.training
    assert factory.from_recipe(larger, 3).config.grid == (8, 8)

    pixels = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    expected = tf.saved_model.load(str(path)).signatures["pixels"](pixels=pixels)
    repeated = np.tile(pixels, (1, 2, 2, 1))
    found = tf.saved_model.load(str(tmp_path / "1")).signatures["pixels"](pixels=repeated)
    np.testing.assert_array_equal(found["class_names"], expected["class_names"])
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], rtol=1e-5)


def test_a_model_of_others_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"))
    with pytest.raises(ValueError, match="a model must hold assets.extra/recipe.json"):
        upscale_export(str(tmp_path / "1"), str(tmp_path / "2"), factor=2)


@pytest.fixture(scope="module")
def grouped(exported, tmp_path_factory):
    """An exported model that mixes the tokens of two channels together; (folder, model, recipe)."""
    recipe = exported[2].override(["model.channel_groups=2", "model.tokens_mlp_dim=10"])
    model = harness.randomize(factory.from_recipe(recipe, len(CLASS_NAMES)))
    path = tmp_path_factory.mktemp("grouped") / "serving" / "1"
    saved_model.export_saved_model(model, recipe, CLASS_NAMES, str(path))
    return path, model, recipe


def test_groups_of_channels_are_upscaled_from_an_export(grouped):
    path, model, recipe = grouped
    larger = recipe.override(
        ["model.image_size=32", f"model.weights={path.parents[1]}", "model.keep_head=true"]
    )
    factory.check_weights(larger)
    _assert_same_weights(factory.from_recipe(larger, 3), mixer_tf.upscale(model, factor=2))
    assert factory.config_from_recipe(larger, 3) == factory.from_recipe(larger, 3).config


def test_weights_of_another_token_mixing_are_refused_where_their_shapes_fit(exported, grouped):
    """Two groups of 16 tokens have weights as large as one with 32 tokens."""
    path, _, recipe = grouped
    twice_as_high = dict(image_size=(32, 16), num_classes=3, tokens_mlp_dim=10)
    fields = {k: v for k, v in recipe.model.fields.items() if k not in ("channel_groups",)}
    plain = mixer_tf.create_model("mixer", **{**fields, **twice_as_high})
    with pytest.raises(ValueError, match="model with channel_groups=1, as the model mixer; those"):
        mixer_tf.load_weights(plain, path)
    with pytest.raises(ValueError, match="Create the model with channel_groups=1"):
        factory.from_recipe(recipe.override([f"model.weights={exported[0]}"]), 3)


def test_weights_for_another_number_of_heads_are_refused(tmp_path):
    recipe = recipes.get("cifar10_vit8").override(["model.num_blocks=1"])
    path = str(tmp_path / "1")
    saved_model.export_saved_model(factory.from_recipe(recipe, 3), recipe, CLASS_NAMES, path)
    other = recipe.override([f"model.weights={path}", "model.num_heads=1"])
    with pytest.raises(ValueError, match="model with num_heads=1"):
        factory.from_recipe(other, 3)
