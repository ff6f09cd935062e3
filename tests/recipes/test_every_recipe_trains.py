# SPDX-License-Identifier: Apache-2.0
"""Every recipe, shrunken in depth, width and batch but with all its other options, takes a step."""

import json

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import factory, recipes
from mixer_tf.recipes import Recipe
from mixer_tf.training import compilation
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import open_splits

IMAGE_SIZE = 64
WIDTHS = {
    "mixer": ("hidden_dim=8", "tokens_mlp_dim=8", "channels_mlp_dim=8", "num_blocks=2"),
    "vit": ("hidden_dim=64", "channels_mlp_dim=8", "num_heads=1", "num_blocks=2"),
    "bit": ("width=32", "num_units=1"),
}
# With augmentation, without it, and with frozen layers; the others are slow together.
QUICK = ("pretrain_imagenet_b16", "pretrain_jft_s32", "finetune_small")


def shrink(recipe: Recipe) -> Recipe:
    fields = list(WIDTHS[recipe.model.name.partition("_")[0]])
    if recipe.model.fields.get("pyramid"):
        fields.append("pyramid=4,2")
    fields += ["weights=none", f"image_size={min(recipe.model.image_size, IMAGE_SIZE)}"]
    fields += ["patch_size=32"] if recipe.model.name == "mixer_h14" else []
    fields += ["patch_size=32"] if recipe.model.name == "vit_h14" else []
    training = ["training.batch_size=4", "training.steps=1", "training.jit_compile=false"]
    return recipe.override([*(f"model.{field}" for field in fields), *training])


def distinct() -> dict[str, Recipe]:
    """Recipes that differ after they are shrunken, other than by learning rate or model size."""
    found = {}
    for name in reversed(recipes.list_names()):
        values = shrink(recipes.get(name)).to_dict()
        del values["name"], values["summary"], values["training"]["epochs"]
        for field in ("learning_rate", "weight_decay", "warmup_steps"):
            del values["optimizer"][field]
        values["model"]["name"] = values["model"]["name"].partition("_")[0]
        values["data"].pop("shuffle_buffer")
        values["model"].pop("patch_size", None)
        found[json.dumps(values)] = name
    return {name: shrink(recipes.get(name)) for name in found.values()}


@pytest.fixture(scope="module")
def split(dataset):
    return open_splits(dataset.folder, dataset.info)["train"]


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        pytest.param(name, recipe, marks=[pytest.mark.slow] if name not in QUICK else [])
        for name, recipe in distinct().items()
    ],
)
def test_every_recipe_takes_a_step(split, name, recipe):
    model = factory.from_recipe(recipe, split.num_classes)
    compilation.compile_model(model, recipe, 3, tf.distribute.get_strategy())
    before = model.get_weights()
    steps = batches.training_batches(split, recipe).take(2)  # the first learning rate may be 0
    losses = [model.train_on_batch(images, labels) for images, labels in steps]
    assert np.all(np.isfinite(losses))
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
