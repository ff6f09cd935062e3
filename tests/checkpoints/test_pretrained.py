# SPDX-License-Identifier: Apache-2.0
"""With a small file in the place of a published one, as somebody offline would put it there."""

import dataclasses
import os

import numpy as np
import pytest

import mixer_tf
from mixer_tf.checkpoints import KNOWN, from_preset
from mixer_tf.checkpoints.downloading import cached_path

NAME = "mixer_b32_sam"
SMALL = dict(num_blocks=2, hidden_dim=8, tokens_mlp_dim=4, channels_mlp_dim=12)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A model of three classes whose weights lie where those of `NAME` are looked for."""
    monkeypatch.setenv("MIXER_TF_CACHE", str(tmp_path))
    monkeypatch.setitem(KNOWN, NAME, dataclasses.replace(KNOWN[NAME], num_classes=3, image_size=64))
    model = mixer_tf.create_model("mixer_b32", image_size=64, num_classes=3, **SMALL)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.weights])
    path = cached_path(KNOWN[NAME].address)
    os.makedirs(os.path.dirname(path))
    mixer_tf.save_npz(model, path)
    return model


def test_as_it_was_published(published, assert_same_weights):
    assert_same_weights(from_preset(NAME, **SMALL), published)
    assert_same_weights(from_preset(NAME, num_classes=3, **SMALL), published)


def test_another_number_of_classes_is_a_new_head(published):
    model = from_preset(NAME, num_classes=10, dropout=0.1, **SMALL)
    assert model.config.num_classes == 10 and model.config.dropout == 0.1
    np.testing.assert_array_equal(model.get_layer("head").kernel, 0)
    np.testing.assert_array_equal(
        model.get_layer("stem").kernel, published.get_layer("stem").kernel
    )


def test_no_classes_are_features(published):
    assert from_preset(NAME, num_classes=0, **SMALL).output_shape == (None, 8)


def test_a_larger_image_size_is_upscaled(published, assert_same_weights):
    model = from_preset(NAME, image_size=128, **SMALL)
    assert_same_weights(model, mixer_tf.upscale(published, factor=2))
    with pytest.raises(ValueError, match="whole multiple of the model's, 64x64 pixels; got 96x96"):
        from_preset(NAME, image_size=96, **SMALL)
    assert from_preset(NAME, image_size=96, interpolate=True, **SMALL).config.grid == (3, 3)
