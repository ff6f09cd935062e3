# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from harness import TINY_BIT, difference, make_images, randomize, weights_by_name
from numpy_models import NumpyBiT
from tensorflow import keras

from mixer_tf.models.bit import BiTResNet, GroupNorm, RootBlock

EVERY_OPTION = dict(dropout=0.2, stochastic_depth=0.4, stochastic_depth_rescaled=True)
TOLERANCE = 1e-5  # relative to the largest logit


@pytest.fixture
def pixels():
    """Three images for `TINY_BIT`: uint8 [3, 13, 18, 3]."""
    return make_images(*TINY_BIT["image_size"])


@pytest.mark.parametrize("fields", [{}, {"num_classes": 0}, EVERY_OPTION], ids=str)
@pytest.mark.parametrize("num_units", [(1, 2), (2, 1, 1, 2)])
def test_model_equals_the_numpy_reference(pixels, fields, num_units):
    model = randomize(BiTResNet(**{**TINY_BIT, "num_units": num_units, **fields}))
    expected = NumpyBiT(weights_by_name(model), TINY_BIT["num_groups"])(pixels)
    assert difference(model(pixels), expected) < TOLERANCE
    assert difference(model(pixels.astype(np.float32)), expected) < TOLERANCE


def test_model_equals_the_network_of_jax_operations(pixels):
    pytest.importorskip("flax")
    model = randomize(BiTResNet(**TINY_BIT))
    expected = _jax_bit(weights_by_name(model), pixels / np.float32(127.5) - 1)
    assert difference(model(pixels), np.asarray(expected)) < TOLERANCE


def _jax_bit(weights, x):
    """BiT with XLA's convolution and Flax's GroupNorm and pooling, for `TINY_BIT`."""
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
    """Instead of minus infinity, as in the usual padding: a negative border becomes 0."""
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
    centered = groups - groups.mean(axis=(1, 2, 4), keepdims=True)
    expected = centered / np.sqrt((centered**2).mean(axis=(1, 2, 4), keepdims=True) + 1e-5)
    # keras.layers.GroupNormalization: 9e-6.
    assert difference(GroupNorm(32)(x), expected.reshape(x.shape)) < 1e-6


def test_norm_computes_in_full_precision_under_a_mixed_policy():
    unit = BiTResNet(**TINY_BIT, dtype="mixed_bfloat16").get_layer("block2").units[0]
    assert unit.conv_b.compute_dtype == "bfloat16" and unit.norm_b.compute_dtype == "float32"


def test_new_weights_are_those_of_the_authors():
    keras.utils.set_random_seed(0)
    model = BiTResNet(**TINY_BIT, head_bias_init=-6.9)
    weights = weights_by_name(model)
    kernel = weights["root_block/standardized_conv2d/kernel"]
    assert 0.9 < kernel.std() * np.sqrt(7 * 7 * 3) < 1.1  # lecun_normal
    assert not weights["head/kernel"].any()
    np.testing.assert_allclose(weights["head/bias"], np.full(5, -6.9), rtol=1e-6)
    assert all((value == 1).all() for name, value in weights.items() if name.endswith("gamma"))
    assert not any(value.any() for name, value in weights.items() if name.endswith("beta"))


def test_intermediates_have_names(pixels):
    model = randomize(BiTResNet(**TINY_BIT))
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


def test_stochastic_depth_drops_the_branch_of_whole_examples():
    keras.utils.set_random_seed(0)
    model = BiTResNet(**{**TINY_BIT, "num_units": (3,)}, stochastic_depth=0.9)
    unit = model.get_layer("block1").units[2]  # the last: dropped with probability 0.9
    x = np.random.default_rng(0).normal(size=(60, 4, 5, 32)).astype(np.float32)
    kept, y = unit(x).numpy(), unit(x, training=True).numpy()
    is_dropped = np.array([np.array_equal(a, b) for a, b in zip(y, x, strict=True)])
    np.testing.assert_allclose(y[~is_dropped], kept[~is_dropped], atol=1e-5)
    assert 45 <= is_dropped.sum() < 60
