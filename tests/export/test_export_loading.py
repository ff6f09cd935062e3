# SPDX-License-Identifier: Apache-2.0
"""From one exported model to another, through what TensorFlow alone can load."""

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
