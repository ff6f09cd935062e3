# SPDX-License-Identifier: Apache-2.0
import inspect

import numpy as np
import pytest
from tensorflow import keras

import mixer_tf
from mixer_tf import MixerS32, create_model, list_models

SHAPE = (32, 64, 3)


@pytest.fixture(scope="module")
def small():
    """A Mixer-S/32 with random weights for images of `SHAPE`, and its logits for two of them."""
    model = create_model("mixer_s32", image_size=SHAPE[:2], num_classes=3)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.05, size=w.shape) for w in model.weights])
    images = rng.integers(0, 256, (2, *SHAPE)).astype(np.uint8)
    return model, images


@pytest.fixture(scope="module")
def weights_file(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mixer.weights.h5"
    small[0].save_weights(path)
    return str(path)


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


def test_top_gives_probabilities(small, weights_file):
    mixer, images = small
    model = MixerS32(input_shape=SHAPE, classes=3, weights=weights_file)
    np.testing.assert_allclose(
        model(images), keras.activations.softmax(mixer(images)), rtol=1e-5, atol=1e-6
    )


def test_top_without_activation_gives_logits(small, weights_file):
    mixer, images = small
    model = MixerS32(input_shape=SHAPE, classes=3, weights=weights_file, classifier_activation=None)
    np.testing.assert_array_equal(model(images), mixer(images))


@pytest.mark.parametrize("pooling", [None, "avg", "max"])
def test_features_without_the_top(small, pooling):
    mixer, images = small
    model = MixerS32(include_top=False, input_shape=SHAPE, pooling=pooling)
    model.set_weights(mixer.get_weights()[:-2])
    tokens = mixer.intermediates("pre_head_layer_norm")(images)["pre_head_layer_norm"].numpy()
    expected = {
        None: tokens.reshape(2, 1, 2, 512),
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


def test_input_tensor_joins_the_graph_that_made_it(small):
    _, images = small
    inputs = keras.Input(SHAPE, dtype="uint8")
    flipped = keras.layers.Lambda(lambda x: x[:, :, ::-1])(inputs)
    model = MixerS32(include_top=False, pooling="avg", input_tensor=flipped)
    plain = MixerS32(include_top=False, pooling="avg", input_shape=SHAPE)
    plain.set_weights(model.get_weights())
    assert model.input.dtype == "uint8"
    np.testing.assert_array_equal(model(images), plain(images[:, :, ::-1]))


def test_constructed_model_is_the_same_after_save_and_load(small, tmp_path):
    _, images = small
    model = MixerS32(include_top=False, input_shape=SHAPE)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras")(images), model(images)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(weights="imagenet"), "weights must be None or .*; got 'imagenet', and there is no"),
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
