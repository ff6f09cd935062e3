# SPDX-License-Identifier: Apache-2.0
"""Training from the weights of another model, and training of every kind of network."""

import json

import numpy as np
import pytest
from test_trainer import train

import mixer_tf
from mixer_tf import factory
from mixer_tf.export.loading import open_export

STILL = ["training.steps=2", "optimizer.learning_rate=1e-8", "optimizer.weight_decay=0"]
NETWORKS = {
    "mixer": [],
    "untied": ["model.untied=true"],
    "groups": ["model.channel_groups=2", "model.channel_views=true"],
    "pyramid": ["model.pyramid=8,5", "model.exact_gelu=true"],
    "vit": [
        *("model.name=vit", "model.patch_size=4", "model.num_blocks=2", "model.hidden_dim=8"),
        *("model.channels_mlp_dim=8", "model.num_heads=2", "model.classifier=gap"),
    ],
    "bit": ["model.name=bit_r50x1"],
}
QUICK = ("pyramid", "vit")


@pytest.fixture(scope="module")
def published(tmp_path_factory, recipe):
    """(model, path) of weights for images of 16x16 pixels and seven classes."""
    model = factory.from_recipe(recipe, 7)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.weights])
    path = str(tmp_path_factory.mktemp("published") / "model.npz")
    mixer_tf.save_npz(model, path)
    return model, path


def fine_tuning(recipe, path, *changes):
    return recipe.override([f"model.weights={path}", *STILL, *changes])


def test_training_starts_with_the_weights_and_a_new_head(published, recipe, dataset, tmp_path):
    model, path = published
    result = train(fine_tuning(recipe, path), dataset, str(tmp_path))
    for name in ("stem", "pre_head_layer_norm"):
        kernel, *_ = result.model.get_layer(name).weights
        np.testing.assert_allclose(kernel, model.get_layer(name).weights[0], atol=1e-6)
    assert result.model.output_shape == (None, 3)
    assert np.abs(result.model.get_layer("head").kernel).max() < 1e-6


@pytest.mark.slow
def test_weights_for_smaller_images_are_upscaled(published, recipe, dataset, tmp_path):
    """And what is exported can be opened, and trained on, without the checkpoint."""
    model, path = published
    changed = fine_tuning(recipe, path, "model.image_size=32")
    result = train(changed, dataset, str(tmp_path))
    width = model.config.tokens_mlp_dim
    assert result.model.config.tokens_mlp_dim == 4 * width

    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    features = model.intermediates("pre_logits")(pixels)["pre_logits"]
    repeated = np.tile(pixels, (1, 2, 2, 1))
    found = result.model.intermediates("pre_logits")(repeated)["pre_logits"]
    np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-5)

    exported = tmp_path / "model"
    opened = open_export(str(exported))
    assert opened.model.config == result.model.config
    np.testing.assert_allclose(opened.model(repeated), result.model(repeated), atol=1e-6)
    facts = json.loads((exported / "assets.extra" / "recipe.json").read_text())["model"]
    assert facts["tokens_mlp_dim"] == 4 * width and facts["weights"] == path

    again = fine_tuning(recipe, str(exported), "model.image_size=32")
    assert factory.from_recipe(again, 3).config == result.model.config


def test_other_sizes_require_interpolate(published, recipe):
    changed = fine_tuning(recipe, published[1], "model.image_size=24")
    with pytest.raises(ValueError, match="multiple of the model's, 16x16 pixels; got 24x24"):
        factory.from_recipe(changed, 3)
    model = factory.from_recipe(changed.override(["model.interpolate=true"]), 3)
    assert model.config.grid == (6, 6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in NETWORKS]
)
def test_every_network_is_trained_exported_and_opened(recipe, dataset, tmp_path, network):
    changed = recipe.override([*NETWORKS[network], "training.epochs=1"])
    result = train(changed, dataset, str(tmp_path))
    opened = open_export(str(tmp_path / "model"))
    assert type(opened.model) is type(result.model)
    assert opened.model.config == result.model.config
    side = changed.model.image_size
    pixels = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    np.testing.assert_allclose(opened.model(pixels), result.model(pixels), atol=1e-5)
