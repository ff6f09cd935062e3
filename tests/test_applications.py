# SPDX-License-Identifier: Apache-2.0
import inspect

import harness
import numpy as np
import pytest
from tensorflow import keras

import mixer_tf
from mixer_tf import MixerS32, checkpoints, create_model, list_models
from mixer_tf.models import mixer_config

SHAPE = (32, 64, 3)


@pytest.fixture
def mixer(monkeypatch):
    """A Mixer-S/32 with a tiny S, for images of `SHAPE` and 3 classes, with random weights."""
    tiny = dict(num_blocks=2, hidden_dim=16, tokens_mlp_dim=6, channels_mlp_dim=10)
    monkeypatch.setitem(mixer_config.SIZES, "s", tiny)
    model = create_model("mixer_s32", image_size=SHAPE[:2], num_classes=3)
    return harness.randomize(model)


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (2, *SHAPE)).astype(np.uint8)


def test_every_paper_model_has_a_constructor_as_in_keras_applications():
    names = ["Mixer" + name.removeprefix("mixer_").upper() for name in list_models()]
    assert set(names) < set(mixer_tf.__all__)
    for name, preset in zip(names, list_models(), strict=True):
        constructor = getattr(mixer_tf, name)
        assert constructor.__name__ == name and name in constructor.__doc__
        parameters = inspect.signature(constructor).parameters
        known = inspect.signature(keras.applications.Xception).parameters
        assert list(known) == [p for p in parameters if p != "name"]
        assert parameters["name"].default == preset


@pytest.mark.parametrize("path", ["mixer.keras", "mixer.weights.h5", "mixer.h5", "checkpoint"])
def test_top_gives_probabilities_of_the_weights_in_a_file(mixer, images, tmp_path, path):
    path = str(tmp_path / path)
    mixer.save(path) if path.endswith(".keras") else mixer.save_weights(path)
    model = MixerS32(input_shape=SHAPE, classes=3, weights=path)
    expected = keras.activations.softmax(mixer(images))
    np.testing.assert_allclose(model(images), expected, rtol=1e-5, atol=1e-6)


def test_top_without_activation_gives_logits(mixer, images):
    model = MixerS32(input_shape=SHAPE, classes=3, classifier_activation=None)
    model.set_weights(mixer.get_weights())
    np.testing.assert_array_equal(model(images), mixer(images))


@pytest.mark.parametrize("pooling", [None, "avg", "max"])
def test_features_without_the_top(mixer, images, pooling):
    model = MixerS32(include_top=False, input_shape=SHAPE, pooling=pooling)
    model.set_weights(mixer.get_weights()[:-2])
    tokens = mixer.intermediates("pre_head_layer_norm")(images)["pre_head_layer_norm"].numpy()
    expected = {
        None: tokens.reshape(2, 1, 2, 16),
        "avg": tokens.mean(axis=1),
        "max": tokens.max(axis=1),
    }[pooling]
    np.testing.assert_allclose(model(images), expected, rtol=1e-5, atol=1e-6)


def test_default_is_the_papers_size_with_1000_classes():
    model = MixerS32()
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 1000)
    assert model.name == "mixer_s32"
    assert model.count_params() == 19_104_624


def test_input_tensor_joins_the_graph_that_made_it(mixer, images):
    inputs = keras.Input(SHAPE, dtype="uint8")
    mirrored = keras.layers.Lambda(lambda x: x[:, :, ::-1])(inputs)
    model = MixerS32(classes=3, classifier_activation=None, input_tensor=mirrored)
    model.set_weights(mixer.get_weights())
    assert model.input.dtype == "uint8"
    np.testing.assert_array_equal(model(images), mixer(images[:, :, ::-1]))


def test_constructed_model_is_the_same_after_save_and_load(mixer, images, tmp_path):
    model = MixerS32(include_top=False, input_shape=SHAPE)
    model.set_weights(mixer.get_weights()[:-2])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))


def test_weights_of_a_checkpoint_with_and_without_the_top(mixer, images, tmp_path):
    checkpoints.save_npz(mixer, tmp_path / "mixer.npz")
    model = MixerS32(input_shape=SHAPE, classes=3, weights=tmp_path / "mixer.npz")
    np.testing.assert_allclose(model(images), keras.activations.softmax(mixer(images)), atol=1e-6)
    with pytest.raises(ValueError, match=r"head/bias is \[3\], must be \[7\]"):
        MixerS32(input_shape=SHAPE, classes=7, weights=tmp_path / "mixer.npz")
    features = MixerS32(input_shape=SHAPE, include_top=False, weights=tmp_path / "mixer.npz")
    np.testing.assert_array_equal(
        features.get_layer("pre_head_layer_norm").gamma,
        mixer.get_layer("pre_head_layer_norm").gamma,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            dict(weights="imagenet"),
            "weights must be .*; got imagenet. Published for mixer_s32: mixer",
        ),
        (dict(pooling="mean"), "pooling must be None, 'avg' or 'max'; got 'mean'"),
        (dict(classes=0), "classes must be at least 1 with the top; got 0"),
        (dict(input_shape=(None, None, 3)), r"must be \(height, width, 3\); got \(None, None, 3\)"),
        (dict(input_shape=(32, 32, 1)), r"must be \(height, width, 3\); got \(32, 32, 1\)"),
        (dict(input_shape=(40, 40, 3)), "patch_size must divide image_size; got patch_size=32, im"),
    ],
)
def test_impossible_argument_is_a_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        MixerS32(**arguments)
