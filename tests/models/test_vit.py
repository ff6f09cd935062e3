# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.vit import VisionTransformer

TINY = dict(
    image_size=(12, 16),
    patch_size=4,
    num_blocks=3,
    hidden_dim=8,
    channels_mlp_dim=14,
    num_heads=2,
    num_classes=5,
)
EVERY_OPTION = dict(
    dropout=0.2, attention_dropout=0.1, stochastic_depth=0.4, stochastic_depth_rescaled=True
)
TOLERANCE = 1e-5  # relative to the largest logit: exact GELU and Keras's LayerNorm epsilon fail it


def difference(actual, expected) -> float:
    """Largest difference, relative to the largest expected value."""
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


class NumpyViT:
    """The equations of arXiv:2010.11929 in float64, on weights by their Keras names."""

    def __init__(self, weights, patch_size, num_heads):
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.patch_size, self.num_heads = patch_size, num_heads
        self.multiply_adds = 0

    def __call__(self, pixels):
        x = self.product(self.patches(pixels / 127.5 - 1), self.weights["embedding/kernel"])
        x = x + self.weights["embedding/bias"]
        token = self.weights.get("class_token/cls")
        if token is not None:
            x = np.concatenate([np.repeat(token, len(x), axis=0), x], axis=1)
        x = x + self.weights["posembed_input/pos_embedding"]
        i = 0
        while f"encoderblock_{i}/LayerNorm_0/gamma" in self.weights:
            x = self.block(x, f"encoderblock_{i}")
            i += 1
        x = self.norm(x, "encoder_norm")
        x = x.mean(axis=1) if token is None else x[:, 0]
        if "pre_logits/kernel" in self.weights:
            x = np.tanh(self.dense(x, "pre_logits"))
        return self.dense(x, "head") if "head/kernel" in self.weights else x

    def patches(self, image):
        n, height, width, _ = image.shape
        p = self.patch_size
        grid = image.reshape(n, height // p, p, width // p, p, 3).transpose(0, 1, 3, 2, 4, 5)
        return grid.reshape(n, -1, p * p * 3)

    def block(self, x, name):
        y = self.norm(x, f"{name}/LayerNorm_0")
        x = x + self.attention(y, f"{name}/MultiHeadDotProductAttention_1")
        y = self.dense(self.norm(x, f"{name}/LayerNorm_2"), f"{name}/MlpBlock_3/Dense_0")
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        return x + self.dense(y, f"{name}/MlpBlock_3/Dense_1")

    def attention(self, x, name):
        query, key, value = (self.dense(x, f"{name}/{part}") for part in ("query", "key", "value"))
        width = x.shape[-1] // self.num_heads
        heads = []
        for head in range(self.num_heads):
            part = slice(head * width, (head + 1) * width)
            scores = query[..., part] @ key[..., part].swapaxes(1, 2) / np.sqrt(width)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            heads.append(weights @ value[..., part])
            self.multiply_adds += 2 * scores.size * width
        return self.dense(np.concatenate(heads, axis=-1), f"{name}/out")

    def product(self, x, kernel):
        kernel = kernel.reshape(-1, kernel.shape[-1])
        self.multiply_adds += x.size * kernel.shape[1]
        return x @ kernel

    def dense(self, x, name):
        return self.product(x, self.weights[f"{name}/kernel"]) + self.weights[f"{name}/bias"]

    def norm(self, x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        y = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
        return y * self.weights[f"{name}/gamma"] + self.weights[f"{name}/beta"]


VARIANTS = [
    {},
    {"classifier": "gap"},
    {"representation_size": 6},
    {"num_classes": 0},
    {"representation_size": 6, "num_classes": 0, "num_heads": 4},
    EVERY_OPTION,
]


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_model_equals_the_numpy_reference(pixels, weights_by_name, randomize, fields):
    model = randomize(VisionTransformer(**{**TINY, **fields}))
    reference = NumpyViT(weights_by_name(model), 4, model.config.num_heads)
    expected = reference(pixels)
    assert difference(model(pixels), expected) < TOLERANCE
    assert difference(model(pixels.astype(np.float32)), expected) < TOLERANCE


@pytest.mark.parametrize("fields", VARIANTS[:3], ids=str)
def test_model_equals_the_network_of_flax_layers(pixels, weights_by_name, randomize, fields):
    pytest.importorskip("flax")
    model = randomize(VisionTransformer(**{**TINY, **fields}))
    params = _flax_params(weights_by_name(model), model.config.num_heads)
    inputs = pixels / np.float32(127.5) - 1
    expected = _flax_vit(model.config).apply({"params": params}, inputs)
    assert difference(model(pixels), np.asarray(expected)) < TOLERANCE


def _flax_vit(config):
    """A Vision Transformer of Flax's own layers and their defaults."""
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
    """Weights by Keras name as Flax's tree, attention with its axis of heads."""
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
    model = VisionTransformer(**{**TINY, "hidden_dim": 64, "num_heads": 4}, head_bias_init=-6.9)
    weights = {variable.name: variable.numpy() for variable in model.weights}
    limit = np.sqrt(6 / (64 + 64))  # Glorot, as of a [64, 64] kernel
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


def test_intermediates_have_names(pixels, randomize):
    model = randomize(VisionTransformer(**TINY))
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


def test_unknown_intermediate_names_those_that_exist():
    with pytest.raises(ValueError, match="one of stem, .*, block_2, .*, pre_logits; got 'logits'"):
        VisionTransformer(**{**TINY, "num_classes": 0}).intermediates("logits")


def test_compiled_by_xla_it_computes_the_same(pixels, randomize):
    model = randomize(VisionTransformer(**TINY, **EVERY_OPTION))
    compiled = tf.function(model, jit_compile=True)
    assert difference(compiled(pixels), model(pixels).numpy()) < TOLERANCE


def test_mixed_precision_gives_float32_logits_near_the_exact_ones(pixels, randomize):
    exact = randomize(VisionTransformer(**TINY))
    mixed = VisionTransformer(**TINY, dtype="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    assert mixed.get_layer("encoderblock_1").attention.query.compute_dtype == "bfloat16"
    assert all(weight.dtype == tf.float32 for weight in mixed.weights)
    assert mixed(pixels).dtype == tf.float32
    assert difference(mixed(pixels), exact(pixels).numpy()) < 0.02


def test_dropout_and_stochastic_depth_act_in_training_only(pixels, randomize):
    for option in ("dropout", "attention_dropout", "stochastic_depth"):
        model = randomize(VisionTransformer(**TINY, **{option: 0.5}))
        plain = VisionTransformer(**TINY)
        plain.set_weights(model.get_weights())
        np.testing.assert_array_equal(model(pixels), plain(pixels))
        assert difference(model(pixels, training=True), plain(pixels).numpy()) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("dtype, jit_compile", [(None, False), ("mixed_bfloat16", True)])
def test_training_moves_every_weight_and_lowers_the_loss(pixels, dtype, jit_compile):
    keras.utils.set_random_seed(0)
    fields = {**TINY, "num_blocks": 2, "stochastic_depth": 0.1, "attention_dropout": 0.1}
    model = VisionTransformer(**fields, dropout=0.05, dtype=dtype)
    model.compile(
        keras.optimizers.Adam(0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    before = model.get_weights()
    losses = model.fit(pixels, np.array([0, 1, 2]), epochs=40, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < losses[0] / 2
    unmoved = [
        weight.name
        for weight, old in zip(model.weights, before, strict=True)
        if np.array_equal(weight, old)
    ]
    # The softmax over keys does not see a bias that all keys share: its gradient is noise, or 0.
    assert [name for name in unmoved if not name.endswith("/key/bias:0")] == []


@pytest.mark.parametrize("dtype", [None, "mixed_bfloat16"])
@pytest.mark.parametrize(
    "path", ["model.keras", pytest.param("saved_model", marks=pytest.mark.slow)]
)
def test_saved_model_is_the_same_when_loaded(pixels, randomize, tmp_path, path, dtype):
    model = randomize(VisionTransformer(**TINY, **EVERY_OPTION, dtype=dtype, name="tiny"))
    model.save(tmp_path / path)
    loaded = keras.models.load_model(tmp_path / path)
    assert type(loaded) is VisionTransformer
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(pixels), model(pixels))


@pytest.mark.parametrize("path", ["weights.h5", "model.weights.h5", "checkpoint"])
def test_saved_weights_are_the_same_when_loaded(pixels, randomize, tmp_path, path):
    model = randomize(VisionTransformer(**TINY, representation_size=6))
    model.save_weights(str(tmp_path / path))
    other = VisionTransformer(**TINY, representation_size=6)
    other.load_weights(str(tmp_path / path))
    np.testing.assert_array_equal(other(pixels), model(pixels))


def test_config_is_json_and_builds_the_same_model():
    model = VisionTransformer(**TINY, **EVERY_OPTION, dtype="mixed_bfloat16", name="tiny")
    config = json.loads(json.dumps(model.get_config()))
    again = VisionTransformer.from_config(config)
    assert again.config == model.config
    assert again.get_config() == model.get_config()


@pytest.mark.parametrize("layer", ["class_token", "posembed_input", "encoderblock_1"])
def test_layer_from_its_config_computes_the_same(randomize, layer):
    original = randomize(VisionTransformer(**TINY, **EVERY_OPTION)).get_layer(layer)
    again = type(original).from_config(original.get_config())
    x = np.random.default_rng(0).normal(size=(2, *original.input_shape[1:])).astype(np.float32)
    again(x)
    again.set_weights(original.get_weights())
    np.testing.assert_array_equal(again(x), original(x))
