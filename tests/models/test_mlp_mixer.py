# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from mixer_tf.factory import create_model
from mixer_tf.models import MlpMixer, list_models

EVERY_OPTION = dict(dropout=0.2, stochastic_depth=0.4, stochastic_depth_rescaled=True)
TOLERANCE = 2e-6  # relative to the largest logit; exact GELU costs 2e-5, an epsilon of 1e-3 too


def difference(actual, expected) -> float:
    """Largest difference, relative to the largest expected value."""
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every_option"])
@pytest.mark.parametrize("num_classes", [5, 0])
def test_model_equals_the_numpy_reference(
    tiny, pixels, numpy_mixer, weights_by_name, randomize, options, num_classes
):
    model = randomize(MlpMixer(**{**tiny, "num_classes": num_classes}, **options))
    expected = numpy_mixer(weights_by_name(model), tiny["patch_size"])(pixels)
    assert difference(model(pixels), expected) < TOLERANCE
    assert difference(model(pixels.astype(np.float32)), expected) < TOLERANCE


@pytest.mark.parametrize(
    "name",
    ["tiny", *(pytest.param(name, marks=pytest.mark.slow) for name in list_models())],
)
def test_model_equals_listing_1_in_flax(tiny, randomize, weights_by_name, name):
    flax_mixer = pytest.importorskip("flax") and _flax_mixer()
    model = MlpMixer(**tiny) if name == "tiny" else create_model(name, num_classes=10)
    randomize(model, scale=0.3 if name == "tiny" else 0.05)
    image = np.random.default_rng(3).integers(0, 256, (2, *model.config.image_size, 3))
    image = image.astype(np.uint8)
    params = _flax_params(weights_by_name(model))
    expected = flax_mixer(model.config).apply({"params": params}, image / np.float32(127.5) - 1)
    assert difference(model(image), np.asarray(expected)) < TOLERANCE


def _flax_mixer():
    """Listing 1 of the paper, written with Flax's own layers and their defaults."""
    import flax.linen as nn

    class Mlp(nn.Module):
        dim: int

        @nn.compact
        def __call__(self, x):
            y = nn.gelu(nn.Dense(self.dim)(x))
            return nn.Dense(x.shape[-1])(y)

    class MixerBlock(nn.Module):
        config: object

        @nn.compact
        def __call__(self, x):
            y = nn.LayerNorm()(x).swapaxes(1, 2)
            x = x + Mlp(self.config.tokens_mlp_dim, name="token_mixing")(y).swapaxes(1, 2)
            y = nn.LayerNorm()(x)
            return x + Mlp(self.config.channels_mlp_dim, name="channel_mixing")(y)

    class Mixer(nn.Module):
        config: object

        @nn.compact
        def __call__(self, x):
            patch = (self.config.patch_size,) * 2
            x = nn.Conv(self.config.hidden_dim, patch, strides=patch, name="stem")(x)
            x = x.reshape(x.shape[0], -1, x.shape[-1])
            for _ in range(self.config.num_blocks):
                x = MixerBlock(self.config)(x)
            x = nn.LayerNorm(name="pre_head_layer_norm")(x).mean(axis=1)
            return nn.Dense(self.config.num_classes, name="head")(x)

    return Mixer


def _flax_params(weights) -> dict:
    """Keras names as Flax's tree: only LayerNorm's scale is called otherwise."""
    tree = {}
    for name, value in weights.items():
        *modules, leaf = name.replace("gamma", "scale").replace("beta", "bias").split("/")
        branch = tree
        for module in modules:
            branch = branch.setdefault(module, {})
        branch[leaf] = value
    return tree


def test_new_model_gives_the_head_bias(tiny, pixels):
    model = MlpMixer(**tiny, head_bias_init=-6.9)
    np.testing.assert_allclose(model(pixels), np.full((3, 5), -6.9), rtol=1e-6)


def test_pixel_values_become_minus_one_to_one(tiny):
    model = MlpMixer(**tiny)
    image = tf.constant([0, 51, 255], tf.uint8) * tf.ones((1, 12, 16, 3), tf.uint8)
    rescaled = keras.Model(model.input, model.get_layer("rescale").output)(image)
    np.testing.assert_allclose(rescaled[0, 0, 0], [-1, -0.6, 1], atol=1e-6)


def test_intermediates_have_names(tiny, pixels, randomize):
    model = randomize(MlpMixer(**tiny))
    out = model.intermediates()(pixels)
    assert {name: tuple(value.shape[1:]) for name, value in out.items()} == {
        "stem": (3, 4, 8),
        "input_tokens": (12, 8),
        "block_0": (12, 8),
        "block_1": (12, 8),
        "block_2": (12, 8),
        "pre_head_layer_norm": (12, 8),
        "pre_logits": (8,),
        "logits": (5,),
    }
    np.testing.assert_array_equal(out["logits"], model(pixels))
    np.testing.assert_array_equal(out["input_tokens"][:, 5], out["stem"][:, 1, 1])  # row-major
    chosen = model.intermediates("pre_logits")(pixels)
    np.testing.assert_array_equal(chosen["pre_logits"], out["pre_logits"])


def test_unknown_intermediate_names_those_that_exist(tiny):
    with pytest.raises(ValueError, match="one of stem, .*, block_2, .*, pre_logits; got 'logits'"):
        MlpMixer(**{**tiny, "num_classes": 0}).intermediates("logits")


def test_compiled_by_xla_it_computes_the_same(tiny, pixels, randomize):
    model = randomize(MlpMixer(**tiny, **EVERY_OPTION))
    compiled = tf.function(model, jit_compile=True)
    assert difference(compiled(pixels), model(pixels).numpy()) < TOLERANCE


def test_mixed_precision_gives_float32_logits_near_the_exact_ones(tiny, pixels, randomize):
    exact = randomize(MlpMixer(**tiny))
    mixed = MlpMixer(**tiny, dtype="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    assert mixed.get_layer("MixerBlock_1").token_mixing.dense_0.compute_dtype == "bfloat16"
    assert all(weight.dtype == tf.float32 for weight in mixed.weights)
    assert mixed(pixels).dtype == tf.float32
    assert difference(mixed(pixels), exact(pixels).numpy()) < 0.02


@pytest.mark.parametrize(("dtype", "jit_compile"), [(None, False), ("mixed_bfloat16", True)])
def test_training_step_moves_every_weight_and_lowers_the_loss(
    tiny, pixels, randomize, dtype, jit_compile
):
    keras.utils.set_random_seed(0)
    fields = {**tiny, "num_blocks": 2}
    model = randomize(MlpMixer(**fields, dropout=0.1, stochastic_depth=0.1, dtype=dtype))
    model.compile(
        keras.optimizers.Adam(0.03),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    labels = np.array([0, 1, 2])
    before = model.get_weights()
    losses = model.fit(pixels, labels, epochs=15, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < losses[0] / 2
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("path", "dtype"),
    [("model.keras", None), ("model.keras", "mixed_bfloat16"), ("saved_model", None)],
)
def test_saved_model_is_the_same_when_loaded(tiny, pixels, randomize, tmp_path, path, dtype):
    model = randomize(MlpMixer(**tiny, **EVERY_OPTION, dtype=dtype, name="tiny"))
    model.save(tmp_path / path)
    loaded = keras.models.load_model(tmp_path / path)
    assert type(loaded) is MlpMixer
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(pixels), model(pixels))


@pytest.mark.parametrize("path", ["weights.h5", "model.weights.h5", "checkpoint"])
def test_saved_weights_are_the_same_when_loaded(tiny, pixels, randomize, tmp_path, path):
    model = randomize(MlpMixer(**tiny))
    model.save_weights(str(tmp_path / path))
    other = MlpMixer(**tiny)
    other.load_weights(str(tmp_path / path))
    np.testing.assert_array_equal(other(pixels), model(pixels))


def test_config_is_json_and_builds_the_same_model(tiny):
    model = MlpMixer(**tiny, **EVERY_OPTION, dtype="mixed_bfloat16", name="tiny")
    config = json.loads(json.dumps(model.get_config()))
    again = MlpMixer.from_config(config)
    assert again.config == model.config
    assert again.get_config() == model.get_config()
    assert keras.models.clone_model(model).get_config() == model.get_config()


def test_wrong_image_size_is_an_error(tiny):
    with pytest.raises(ValueError, match=r"expected shape=\(None, 12, 16, 3\), found shape=\(1, 8"):
        MlpMixer(**tiny)(np.zeros((1, 8, 8, 3), np.uint8))


_TWO_REPLICAS = """
import numpy as np, tensorflow as tf
from tensorflow import keras
from mixer_tf import create_model

cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
fields = dict(image_size=8, patch_size=4, num_blocks=1, hidden_dim=4, tokens_mlp_dim=6,
              channels_mlp_dim=6, num_classes=3)
images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
labels = np.array([0, 1, 2, 1])

def train(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = create_model("mixer", **fields)
        model.compile(keras.optimizers.SGD(0.1),
                      keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, batch_size=4, epochs=3, verbose=0)
    return model.predict(images, batch_size=4, verbose=0)

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2
np.testing.assert_allclose(train(mirrored), train(tf.distribute.get_strategy()), atol=1e-5)
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    """In a process of its own: logical devices must exist before TensorFlow starts."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, "-c", _TWO_REPLICAS], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
