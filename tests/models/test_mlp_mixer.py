# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from harness import TINY_MIXER, difference, randomize, weights_by_name
from numpy_models import NumpyMixer
from tensorflow import keras

from mixer_tf.factory import create_model
from mixer_tf.models import MlpMixer, list_models

EVERY_OPTION = dict(dropout=0.2, stochastic_depth=0.4, stochastic_depth_rescaled=True)
TOLERANCE = 2e-6  # relative to the largest logit; exact GELU or an epsilon of 1e-3 differ by 2e-5


@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every_option"])
@pytest.mark.parametrize("num_classes", [5, 0])
def test_model_equals_the_numpy_reference(pixels, options, num_classes):
    model = randomize(MlpMixer(**{**TINY_MIXER, "num_classes": num_classes}, **options))
    expected = NumpyMixer(weights_by_name(model), TINY_MIXER["patch_size"])(pixels)
    assert difference(model(pixels), expected) < TOLERANCE
    assert difference(model(pixels.astype(np.float32)), expected) < TOLERANCE


@pytest.mark.parametrize(
    "name",
    ["tiny", *(pytest.param(name, marks=pytest.mark.slow) for name in list_models())],
)
def test_model_equals_listing_1_in_flax(name):
    pytest.importorskip("flax")
    from benchmarks.flax_mixer import Mixer

    model = MlpMixer(**TINY_MIXER) if name == "tiny" else create_model(name, num_classes=10)
    randomize(model, scale=0.3 if name == "tiny" else 0.05)
    image = np.random.default_rng(3).integers(0, 256, (2, *model.config.image_size, 3))
    image = image.astype(np.uint8)
    params = _flax_params(weights_by_name(model))
    expected = Mixer(model.config).apply({"params": params}, image / np.float32(127.5) - 1)
    assert difference(model(image), np.asarray(expected)) < TOLERANCE


def _flax_params(weights) -> dict:
    """Keras names as Flax's tree: only the names of LayerNorm differ."""
    tree = {}
    for name, value in weights.items():
        *modules, leaf = name.replace("gamma", "scale").replace("beta", "bias").split("/")
        branch = tree
        for module in modules:
            branch = branch.setdefault(module, {})
        branch[leaf] = value
    return tree


def test_new_model_gives_the_head_bias(pixels):
    model = MlpMixer(**TINY_MIXER, head_bias_init=-6.9)
    np.testing.assert_allclose(model(pixels), np.full((3, 5), -6.9), rtol=1e-6)


def test_pixel_values_become_minus_one_to_one():
    model = MlpMixer(**TINY_MIXER)
    image = tf.constant([0, 51, 255], tf.uint8) * tf.ones((1, 12, 16, 3), tf.uint8)
    rescaled = keras.Model(model.input, model.get_layer("rescale").output)(image)
    np.testing.assert_allclose(rescaled[0, 0, 0], [-1, -0.6, 1], atol=1e-6)


def test_intermediates_have_names(pixels):
    model = randomize(MlpMixer(**TINY_MIXER))
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


def test_wrong_image_size_is_an_error():
    with pytest.raises(ValueError, match=r"expected shape=\(None, 12, 16, 3\), found shape=\(1, 8"):
        MlpMixer(**TINY_MIXER)(np.zeros((1, 8, 8, 3), np.uint8))


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
    """In a separate process: logical devices must exist before TensorFlow starts."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, "-c", _TWO_REPLICAS], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
