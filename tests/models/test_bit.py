# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.bit import BiTResNet, GroupNorm, RootBlock

# Not square, and with odd sides on the way: only the right borders give the right numbers.
TINY = dict(image_size=(13, 18), num_units=(1, 2), width=8, num_groups=4, num_classes=5)
EVERY_OPTION = dict(dropout=0.2, stochastic_depth=0.4, stochastic_depth_rescaled=True)
TOLERANCE = 1e-5  # relative to the largest logit


def difference(actual, expected) -> float:
    """Largest difference, relative to the largest expected value."""
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


@pytest.fixture
def pixels():
    """Three images of the size of `TINY`: uint8 [3, 13, 18, 3]."""
    return np.random.default_rng(1).integers(0, 256, (3, 13, 18, 3), dtype=np.uint8)


class NumpyBiT:
    """BiT in float64, convolution by convolution, on weights by their Keras names."""

    def __init__(self, weights, num_groups):
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.num_groups = num_groups
        self.multiply_adds = 0

    def __call__(self, pixels):
        x = self.conv(pixels / 127.5 - 1, "root_block", stride=2)
        x = self.windows(x, size=3, stride=2).max(axis=(3, 4))
        block = 1
        while f"block{block}/unit01/a/group_norm/gamma" in self.weights:
            unit = 1
            while f"block{block}/unit{unit:02d}/a/group_norm/gamma" in self.weights:
                stride = 2 if block > 1 and unit == 1 else 1
                x = self.unit(x, f"block{block}/unit{unit:02d}", stride)
                unit += 1
            block += 1
        x = np.maximum(self.norm(x, "group_norm"), 0).mean(axis=(1, 2))
        if "head/kernel" not in self.weights:
            return x
        self.multiply_adds += x.size * self.weights["head/kernel"].shape[1]
        return x @ self.weights["head/kernel"] + self.weights["head/bias"]

    def unit(self, x, name, stride):
        y = np.maximum(self.norm(x, f"{name}/a/group_norm"), 0)
        if f"{name}/a/proj/standardized_conv2d/kernel" in self.weights:
            x = self.conv(y, f"{name}/a/proj", stride)
        y = np.maximum(self.norm(self.conv(y, f"{name}/a"), f"{name}/b/group_norm"), 0)
        y = np.maximum(self.norm(self.conv(y, f"{name}/b", stride), f"{name}/c/group_norm"), 0)
        return x + self.conv(y, f"{name}/c")

    def conv(self, x, name, stride=1):
        kernel = self.weights[f"{name}/standardized_conv2d/kernel"]
        flat = kernel.reshape(-1, kernel.shape[-1])
        flat = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-10)
        windows = self.windows(x, len(kernel), stride)
        self.multiply_adds += windows.size * flat.shape[1]
        return np.einsum("nhwrci,rcio->nhwo", windows, flat.reshape(kernel.shape))

    def windows(self, x, size, stride):
        """[N, H, W, C] -> [N, H/stride, W/stride, size, size, C], with zeros around the image."""
        border = (size - 1) // 2
        x = np.pad(x, [(0, 0), (border, border), (border, border), (0, 0)])
        rows = range(0, x.shape[1] - size + 1, stride)
        columns = range(0, x.shape[2] - size + 1, stride)
        return np.stack(
            [np.stack([x[:, r : r + size, c : c + size] for c in columns], 1) for r in rows], 1
        )

    def norm(self, x, name):
        channels = x.shape[-1] // self.num_groups
        groups = []
        for start in range(0, x.shape[-1], channels):
            group = x[..., start : start + channels]
            centred = group - group.mean(axis=(1, 2, 3), keepdims=True)
            variance = (centred**2).mean(axis=(1, 2, 3), keepdims=True)
            groups.append(centred / np.sqrt(variance + 1e-5))
        y = np.concatenate(groups, axis=-1)
        return y * self.weights[f"{name}/gamma"] + self.weights[f"{name}/beta"]


@pytest.mark.parametrize("fields", [{}, {"num_classes": 0}, EVERY_OPTION], ids=str)
@pytest.mark.parametrize("num_units", [(1, 2), (2, 1, 1, 2)])
def test_model_equals_the_numpy_reference(pixels, weights_by_name, randomize, fields, num_units):
    model = randomize(BiTResNet(**{**TINY, "num_units": num_units, **fields}))
    expected = NumpyBiT(weights_by_name(model), TINY["num_groups"])(pixels)
    assert difference(model(pixels), expected) < TOLERANCE
    assert difference(model(pixels.astype(np.float32)), expected) < TOLERANCE


def test_model_equals_the_network_of_jax_operations(pixels, weights_by_name, randomize):
    pytest.importorskip("flax")
    model = randomize(BiTResNet(**TINY))
    expected = _jax_bit(weights_by_name(model), pixels / np.float32(127.5) - 1)
    assert difference(model(pixels), np.asarray(expected)) < TOLERANCE


def _jax_bit(weights, x):
    """BiT of XLA's convolution and Flax's GroupNorm and pooling, for `TINY`."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    def conv(x, name, stride=1):
        kernel = weights[f"{name}/standardized_conv2d/kernel"]
        kernel = jax.nn.standardize(kernel, axis=(0, 1, 2), epsilon=1e-10)
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            [(len(kernel) // 2,) * 2] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def norm_relu(x, name):
        params = {"scale": weights[f"{name}/gamma"], "bias": weights[f"{name}/beta"]}
        norm = nn.GroupNorm(num_groups=4, epsilon=1e-5, use_fast_variance=False)
        return nn.relu(norm.apply({"params": params}, x))

    def unit(x, name, stride):
        y = norm_relu(x, f"{name}/a/group_norm")
        if f"{name}/a/proj/standardized_conv2d/kernel" in weights:
            x = conv(y, f"{name}/a/proj", stride)
        y = norm_relu(conv(y, f"{name}/a"), f"{name}/b/group_norm")
        y = norm_relu(conv(y, f"{name}/b", stride), f"{name}/c/group_norm")
        return x + conv(y, f"{name}/c")

    x = jnp.pad(conv(x, "root_block", 2), [(0, 0), (1, 1), (1, 1), (0, 0)])
    x = nn.max_pool(x, (3, 3), (2, 2))
    x = unit(x, "block1/unit01", 1)
    x = unit(unit(x, "block2/unit01", 2), "block2/unit02", 1)
    x = norm_relu(x, "group_norm").mean(axis=(1, 2))
    return x @ weights["head/kernel"] + weights["head/bias"]


def test_pooling_sees_zeros_around_the_image():
    """Not minus infinity, as the usual padding would have it: a negative border becomes 0."""
    keras.utils.set_random_seed(0)
    root = RootBlock(8)
    red = np.zeros((1, 32, 32, 3), np.float32)
    red[..., 0] = 1
    pooled = root(red).numpy()  # [1, 8, 8, 8]
    assert pooled[0, 4, 4].min() < -1
    assert pooled[:, [0, 0, 3], [0, 3, 0]].min() == 0


def test_norm_keeps_its_precision_over_a_large_image():
    x = np.random.default_rng(0).normal(10, 1, (1, 112, 112, 64)).astype(np.float32)
    groups = x.astype(np.float64).reshape(1, 112, 112, 32, 2)
    centred = groups - groups.mean(axis=(1, 2, 4), keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=(1, 2, 4), keepdims=True) + 1e-5)
    # Keras's GroupNormalization: 9e-6.
    assert difference(GroupNorm(32)(x), expected.reshape(x.shape)) < 1e-6


def test_new_weights_are_those_of_the_authors(weights_by_name):
    keras.utils.set_random_seed(0)
    model = BiTResNet(**TINY, head_bias_init=-6.9)
    weights = weights_by_name(model)
    kernel = weights["root_block/standardized_conv2d/kernel"]
    assert 0.9 < kernel.std() * np.sqrt(7 * 7 * 3) < 1.1  # lecun_normal
    assert not weights["head/kernel"].any()
    np.testing.assert_allclose(weights["head/bias"], np.full(5, -6.9), rtol=1e-6)
    assert all((value == 1).all() for name, value in weights.items() if name.endswith("gamma"))
    assert not any(value.any() for name, value in weights.items() if name.endswith("beta"))


def test_intermediates_have_names(pixels, randomize):
    model = randomize(BiTResNet(**TINY))
    out = model.intermediates()(pixels)
    assert {name: tuple(value.shape[1:]) for name, value in out.items()} == {
        "root_block": (4, 5, 8),
        "block1": (4, 5, 32),
        "block2": (2, 3, 64),
        "group_norm": (2, 3, 64),
        "pre_logits": (64,),
        "logits": (5,),
    }
    np.testing.assert_array_equal(out["logits"], model(pixels))
    assert list(model.intermediates("pre_logits")(pixels)) == ["pre_logits"]


def test_unknown_intermediate_names_those_that_exist():
    with pytest.raises(ValueError, match="one of root_block, block1, .*, logits; got 'stem'"):
        BiTResNet(**TINY).intermediates("stem")


def test_compiled_by_xla_it_computes_the_same(pixels, randomize):
    model = randomize(BiTResNet(**TINY, **EVERY_OPTION))
    compiled = tf.function(model, jit_compile=True)
    assert difference(compiled(pixels), model(pixels).numpy()) < TOLERANCE


def test_mixed_precision_gives_float32_logits_near_the_exact_ones(pixels, randomize):
    exact = randomize(BiTResNet(**TINY))
    mixed = BiTResNet(**TINY, dtype="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    unit = mixed.get_layer("block2").units[0]
    assert unit.conv_b.compute_dtype == "bfloat16" and unit.norm_b.compute_dtype == "float32"
    assert all(weight.dtype == tf.float32 for weight in mixed.weights)
    assert mixed(pixels).dtype == tf.float32
    assert difference(mixed(pixels), exact(pixels).numpy()) < 0.02


@pytest.mark.parametrize("option", ["dropout", "stochastic_depth"])
def test_dropout_and_stochastic_depth_act_in_training_only(pixels, randomize, option):
    model = randomize(BiTResNet(**TINY, **{option: 0.5}))
    plain = BiTResNet(**TINY)
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(pixels), plain(pixels))
    assert difference(model(pixels, training=True), plain(pixels).numpy()) > 1e-3


def test_stochastic_depth_leaves_the_shortcut_of_whole_examples():
    keras.utils.set_random_seed(0)
    model = BiTResNet(**{**TINY, "num_units": (3,)}, stochastic_depth=0.9)
    unit = model.get_layer("block1").units[2]  # the last: dropped with probability 0.9
    x = np.random.default_rng(0).normal(size=(60, 4, 5, 32)).astype(np.float32)
    kept, y = unit(x).numpy(), unit(x, training=True).numpy()
    is_dropped = np.array([np.array_equal(a, b) for a, b in zip(y, x, strict=True)])
    np.testing.assert_allclose(y[~is_dropped], kept[~is_dropped], atol=1e-5)
    assert 45 <= is_dropped.sum() < 60


@pytest.mark.slow
@pytest.mark.parametrize("dtype, jit_compile", [(None, False), ("mixed_bfloat16", True)])
def test_training_moves_every_weight_and_lowers_the_loss(pixels, dtype, jit_compile):
    keras.utils.set_random_seed(0)
    model = BiTResNet(**TINY, dropout=0.05, stochastic_depth=0.1, dtype=dtype)
    model.compile(
        keras.optimizers.Adam(0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    before = model.get_weights()
    losses = model.fit(pixels, np.array([0, 1, 2]), epochs=20, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < losses[0] / 2
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("dtype", [None, "mixed_bfloat16"])
@pytest.mark.parametrize(
    "path", ["model.keras", pytest.param("saved_model", marks=pytest.mark.slow)]
)
def test_saved_model_is_the_same_when_loaded(pixels, randomize, tmp_path, path, dtype):
    model = randomize(BiTResNet(**TINY, **EVERY_OPTION, dtype=dtype, name="tiny"))
    model.save(tmp_path / path)
    loaded = keras.models.load_model(tmp_path / path)
    assert type(loaded) is BiTResNet
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(pixels), model(pixels))


@pytest.mark.parametrize("path", ["weights.h5", "model.weights.h5", "checkpoint"])
def test_saved_weights_are_the_same_when_loaded(pixels, randomize, tmp_path, path):
    model = randomize(BiTResNet(**TINY))
    model.save_weights(str(tmp_path / path))
    other = BiTResNet(**TINY)
    other.load_weights(str(tmp_path / path))
    np.testing.assert_array_equal(other(pixels), model(pixels))


def test_config_is_json_and_builds_the_same_model():
    model = BiTResNet(**TINY, **EVERY_OPTION, dtype="mixed_bfloat16", name="tiny")
    config = json.loads(json.dumps(model.get_config()))
    again = BiTResNet.from_config(config)
    assert again.config == model.config
    assert again.get_config() == model.get_config()


@pytest.mark.parametrize("layer", ["root_block", "block1", "block2"])
def test_layer_from_its_config_computes_the_same(randomize, layer):
    original = randomize(BiTResNet(**TINY, **EVERY_OPTION)).get_layer(layer)
    again = type(original).from_config(original.get_config())
    x = np.random.default_rng(0).normal(size=(2, *original.input_shape[1:])).astype(np.float32)
    again(x)
    again.set_weights(original.get_weights())
    np.testing.assert_array_equal(again(x), original(x))
