# SPDX-License-Identifier: Apache-2.0
"""Every way in which Keras copies, saves and restores a model keeps outputs, names and flags."""

import copy
import pickle

import harness
import numpy as np
import pytest
from tensorflow import keras

from mixer_tf.models.ablations import AblationMixer
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.models.vit import VisionTransformer

FAMILIES = {
    "mixer": (MlpMixer, {**harness.TINY_MIXER, "num_blocks": 1}),
    "ablations": (AblationMixer, {**harness.TINY_MIXER, "num_blocks": 1, "untied": True}),
    "vit": (VisionTransformer, {**harness.TINY_VIT, "num_blocks": 1}),
    "bit": (BiTResNet, {**harness.TINY_BIT, "num_units": (1,)}),
}
# The ways of copying are Keras' own; what may differ is in the layers of the families.
_SOME = ["mixer", *(pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES if f != "mixer")]
_WAYS = (".keras", ".h5", "clone_model", "to_json")  # of the other families
FROZEN = {  # a layer of the network and a layer within another
    "mixer": ("stem", "MixerBlock_0/token_mixing"),
    "ablations": ("stem", "MixerBlock_0/token_mixing"),
    "vit": ("embedding", "encoderblock_0/MultiHeadDotProductAttention_1"),
    "bit": ("root_block", "block1/unit01"),
}


def load(model, path, save=keras.Model.save):
    save(model, path)
    return keras.models.load_model(path)


def with_weights(copied, model):
    copied.set_weights(model.get_weights())
    return copied


def from_weights(model, folder, name):
    """A clone, whose weights come from a file of weights."""
    model.save_weights(folder / name)
    clone = keras.models.clone_model(model)
    clone.load_weights(folder / name)
    return clone


COPIES = {
    ".keras": lambda model, folder: load(model, folder / "a.keras"),
    ".h5": lambda model, folder: load(model, folder / "a.h5"),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "copy": lambda model, folder: copy.copy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
}
CLONES = {  # these are not compiled
    "clone_model": lambda model, folder: with_weights(keras.models.clone_model(model), model),
    "to_json": lambda model, folder: with_weights(
        keras.models.model_from_json(model.to_json()), model
    ),
    "model_from_config": lambda model, folder: with_weights(
        type(model).from_config(model.get_config()), model
    ),
    ".weights.h5": lambda model, folder: from_weights(model, folder, "a.weights.h5"),
    "weights in .h5": lambda model, folder: from_weights(model, folder, "a.h5"),
    "TensorFlow checkpoint": lambda model, folder: from_weights(model, folder, "checkpoint"),
}


def freeze(model, family):
    """Freezes one layer, and one layer within another; returns the model."""
    first, path = FROZEN[family]
    model.get_layer(first).trainable = False
    layer = model
    for name in path.split("/"):
        layers = layer._flatten_layers(recursive=False, include_self=False)
        layer = next(inner for inner in layers if inner.name == name)
    layer.trainable = False
    return model


def make(family, **fields):
    model_class, default = FAMILIES[family]
    return harness.randomize(model_class(**{**default, **fields}))


def images(model):
    return harness.make_images(*model.input_shape[1:3])


def assert_same(copied, model):
    """Class, outputs, names, and which weights are trainable are the same."""
    assert type(copied) is type(model) and copied is not model
    assert (copied.name, copied.trainable) == (model.name, model.trainable)
    for kind in ("trainable_weights", "non_trainable_weights"):
        names = [weight.name for weight in getattr(model, kind)]
        assert [weight.name for weight in getattr(copied, kind)] == names
    np.testing.assert_array_equal(copied(images(model)), model(images(model)))


@pytest.mark.parametrize(
    ("family", "way"),
    [
        (family, way)
        for family in FAMILIES
        for way in ([*COPIES, *CLONES] if family == "mixer" else _WAYS)
    ],
)
def test_copies_keep_frozen_layers(tmp_path, family, way):
    model = freeze(make(family), family)
    total = len(model.weights)
    assert 0 < len(model.trainable_weights) < total
    assert_same({**COPIES, **CLONES}[way](model, tmp_path), model)


@pytest.mark.parametrize("family", _SOME)
@pytest.mark.parametrize("is_trainable", [True, False])
def test_saved_model_keeps_frozen_layers(tmp_path, family, is_trainable):
    model = freeze(make(family), family)
    if not is_trainable:
        model.trainable = False
        model.get_layer("head").trainable = True
    loaded = load(model, tmp_path / "saved")
    assert_same(loaded, model)
    loaded.trainable = model.trainable = True  # as in Keras, this applies to every layer
    assert len(loaded.trainable_weights) == len(model.trainable_weights) == len(model.weights)


@pytest.mark.parametrize("way", [*COPIES, *CLONES])
def test_a_frozen_model_with_a_trainable_layer_in_it_stays_so(tmp_path, way):
    model = make("mixer")
    model.trainable = False
    model.get_layer("head").trainable = True
    copied = {**COPIES, **CLONES}[way](model, tmp_path)
    assert_same(copied, model)
    assert copied.trainable_weights == []
    assert copied.get_layer("head").trainable and not copied.get_layer("stem").trainable


@pytest.mark.parametrize("family", _SOME)
def test_a_frozen_backbone_in_another_model_stays_frozen(tmp_path, family):
    backbone = make(family, num_classes=0)
    backbone.trainable = False
    pixels = keras.Input(backbone.input_shape[1:])
    model = keras.Model(pixels, keras.layers.Dense(2)(backbone(pixels)))
    ways = {**COPIES, **CLONES}
    for way in ways if family == "mixer" else _WAYS:
        copied = ways[way](model, tmp_path)
        assert [len(copied.trainable_weights), len(copied.weights)] == [2, len(model.weights)], way
        np.testing.assert_array_equal(copied(images(model)), model(images(model)), err_msg=way)


def test_a_frozen_backbone_in_a_saved_model_stays_frozen(tmp_path):
    backbone = freeze(make("mixer", num_classes=0), "mixer")
    model = keras.Sequential([backbone, keras.layers.Dense(2)])
    loaded = load(model, tmp_path / "saved")
    names = [weight.name for weight in model.trainable_weights]
    assert [weight.name for weight in loaded.trainable_weights] == names
    np.testing.assert_array_equal(loaded(images(model)), model(images(model)))


@pytest.mark.parametrize("family", _SOME)
def test_copies_keep_the_optimizers_state(tmp_path, family):
    model = freeze(make(family), family)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.train_on_batch(images(model), np.array([0, 1, 2]))
    for way in COPIES if family == "mixer" else (".keras", ".h5"):
        copied = COPIES[way](model, tmp_path)
        assert_same(copied, model)
        pairs = zip(copied.optimizer.variables, model.optimizer.variables, strict=True)
        for state, expected in pairs:
            np.testing.assert_array_equal(state, expected, err_msg=f"{way} {expected.name}")


def test_the_config_of_a_model_without_frozen_layers_has_its_fields_only():
    assert "trainable_flags" not in make("mixer").get_config()
    flags = freeze(make("mixer"), "mixer").get_config()["trainable_flags"]
    assert flags == {"stem": False, "MixerBlock_0/token_mixing": False}


def test_a_flag_of_an_unknown_layer_is_an_error():
    config = {**make("mixer").get_config(), "trainable_flags": {"stemm": False}}
    with pytest.raises(ValueError, match="must name layers of mlp_mixer; got stemm"):
        MlpMixer.from_config(config)


def test_another_class_of_the_same_name_is_one_clear_error():
    """In HDF5 files and JSON a class has no package, so the two cannot be told apart."""
    pixels = keras.Input((3,))
    config = keras.Model(pixels, keras.layers.Dense(2)(pixels)).get_config()
    with pytest.raises(TypeError, match="MlpMixer of mixer_tf.*; got one of another class"):
        MlpMixer.from_config(config)
