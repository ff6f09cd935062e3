# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from harness import TINY_VIT, difference, randomize, weights_by_name
from numpy_models import NumpyViT
from tensorflow import keras

from mixer_tf.models.vit import VisionTransformer

EVERY_OPTION = dict(
    dropout=0.2, attention_dropout=0.1, stochastic_depth=0.4, stochastic_depth_rescaled=True
)
TOLERANCE = 1e-5  # relative to the largest logit: exact GELU and Keras's LayerNorm epsilon fail it

VARIANTS = [
    {},
    {"classifier": "gap"},
    {"representation_size": 6},
    {"num_classes": 0},
    {"representation_size": 6, "num_classes": 0, "num_heads": 4},
    EVERY_OPTION,
]


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_model_equals_the_numpy_reference(pixels, fields):
    model = randomize(VisionTransformer(**{**TINY_VIT, **fields}))
    reference = NumpyViT(weights_by_name(model), 4, model.config.num_heads)
    expected = reference(pixels)
    assert difference(model(pixels), expected) < TOLERANCE
    assert difference(model(pixels.astype(np.float32)), expected) < TOLERANCE


@pytest.mark.parametrize("fields", VARIANTS[:3], ids=str)
def test_model_equals_the_network_of_flax_layers(pixels, fields):
    pytest.importorskip("flax")
    model = randomize(VisionTransformer(**{**TINY_VIT, **fields}))
    params = _flax_params(weights_by_name(model), model.config.num_heads)
    inputs = pixels / np.float32(127.5) - 1
    expected = _flax_vit(model.config).apply({"params": params}, inputs)
    assert difference(model(pixels), np.asarray(expected)) < TOLERANCE


def _flax_vit(config):
    """A Vision Transformer, written with Flax's own layers and their defaults."""
    import flax.linen as nn
    import jax.numpy as jnp

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            attend = nn.MultiHeadDotProductAttention(config.num_heads, name="attention")
            x = x + attend(nn.LayerNorm(name="LayerNorm_0")(x))
            y = nn.LayerNorm(name="LayerNorm_2")(x)
            y = nn.gelu(nn.Dense(config.channels_mlp_dim, name="Dense_0")(y))
            return x + nn.Dense(x.shape[-1], name="Dense_1")(y)

    class ViT(nn.Module):
        @nn.compact
        def __call__(self, x):
            n, patch = len(x), (config.patch_size,) * 2
            x = nn.Conv(config.hidden_dim, patch, strides=patch, name="embedding")(x)
            x = x.reshape(n, -1, x.shape[-1])
            zeros = nn.initializers.zeros
            if config.classifier == "token":
                token = self.param("cls", zeros, (1, 1, x.shape[-1]))
                x = jnp.concatenate([jnp.tile(token, (n, 1, 1)), x], axis=1)
            x = x + self.param("pos_embedding", zeros, (1, *x.shape[1:]))
            for i in range(config.num_blocks):
                x = Block(name=f"encoderblock_{i}")(x)
            x = nn.LayerNorm(name="encoder_norm")(x)
            x = x[:, 0] if config.classifier == "token" else x.mean(axis=1)
            if config.representation_size:
                x = nn.tanh(nn.Dense(config.representation_size, name="pre_logits")(x))
            return nn.Dense(config.num_classes, name="head")(x)

    return ViT()


def _flax_params(weights, num_heads) -> dict:
    """Weights by Keras name as Flax's tree, with an axis of attention heads."""
    tree = {}
    for name, value in weights.items():
        name = name.replace("MlpBlock_3/", "").replace(
            "MultiHeadDotProductAttention_1", "attention"
        )
        name = name.replace("gamma", "scale").replace("beta", "bias")
        *modules, leaf = (
            name.removeprefix("class_token/").removeprefix("posembed_input/").split("/")
        )
        if modules[-1:] == ["out"] and leaf == "kernel":
            value = value.reshape(num_heads, -1, value.shape[-1])
        elif "attention" in modules and modules[-1] != "out":
            value = value.reshape(*value.shape[:-1], num_heads, -1)
        branch = tree
        for module in modules:
            branch = branch.setdefault(module, {})
        branch[leaf] = value
    return tree


def test_new_weights_are_those_of_the_authors():
    keras.utils.set_random_seed(0)
    model = VisionTransformer(**{**TINY_VIT, "hidden_dim": 64, "num_heads": 4}, head_bias_init=-6.9)
    weights = {variable.name: variable.numpy() for variable in model.weights}
    limit = np.sqrt(6 / (64 + 64))  # Glorot, for a [64, 64] kernel
    query = weights["encoderblock_1/MultiHeadDotProductAttention_1/query/kernel:0"]
    assert 0.98 * limit < np.abs(query).max() <= limit
    assert not np.array_equal(query, weights[_kernel(1, "key")])
    hidden = weights["encoderblock_1/MlpBlock_3/Dense_0/kernel:0"]
    assert np.abs(hidden).max() <= np.sqrt(6 / (64 + 14))
    bias = weights["encoderblock_1/MlpBlock_3/Dense_1/bias:0"]
    assert 5e-7 < bias.std() < 2e-6
    assert not np.array_equal(bias, weights["encoderblock_2/MlpBlock_3/Dense_1/bias:0"])
    assert 0.015 < weights["posembed_input/pos_embedding:0"].std() < 0.025
    assert not weights["class_token/cls:0"].any()
    assert not weights["head/kernel:0"].any()
    np.testing.assert_allclose(weights["head/bias:0"], np.full(5, -6.9), rtol=1e-6)


def _kernel(block, part):
    return f"encoderblock_{block}/MultiHeadDotProductAttention_1/{part}/kernel:0"


def test_intermediates_have_names(pixels):
    model = randomize(VisionTransformer(**TINY_VIT))
    out = model.intermediates()(pixels)
    assert {name: tuple(value.shape[1:]) for name, value in out.items()} == {
        "stem": (3, 4, 8),
        "input_tokens": (13, 8),
        "block_0": (13, 8),
        "block_1": (13, 8),
        "block_2": (13, 8),
        "encoder_norm": (13, 8),
        "pre_logits": (8,),
        "logits": (5,),
    }
    np.testing.assert_array_equal(out["logits"], model(pixels))
    position = model.get_layer("posembed_input").embedding
    np.testing.assert_array_equal(  # row-major, after the class token
        out["input_tokens"][:, 1 + 5], out["stem"][:, 1, 1] + position[:, 1 + 5]
    )
