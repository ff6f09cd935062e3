# SPDX-License-Identifier: Apache-2.0
"""Checks of every network; its numbers are compared with references in the test of its module."""

import dataclasses
import re
from collections.abc import Callable

import harness
import numpy as np
import pytest
import tensorflow as tf
from harness import difference, randomize
from tensorflow import keras

from mixer_tf.models.ablations import AblationMixer
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.models.vit import VisionTransformer

DROPS = dict(dropout=0.2, stochastic_depth=0.4, stochastic_depth_rescaled=True)
ABLATIONS = dict(untied=True, channel_groups=2, channel_views=True, pyramid=(7, 7, 3))


@dataclasses.dataclass(frozen=True)
class Case:
    """A tiny model.

    Attributes:
        model_class: the class of the model.
        fields: its dimensions.
        drops: every option that acts in training only.
        inner: returns a layer of the model that computes in bfloat16 under a mixed policy.
        shallow: fields of a model that compiles quickly.
    """

    model_class: type
    fields: dict
    drops: dict
    inner: Callable
    shallow: dict

    def make(self, **fields):
        return randomize(self.model_class(**{**self.fields, **fields}))

    def images(self) -> np.ndarray:
        return harness.make_images(*self.fields["image_size"])


CASES = {
    "mixer": Case(
        MlpMixer,
        harness.TINY_MIXER,
        DROPS,
        lambda model: model.get_layer("MixerBlock_1").token_mixing.dense_0,
        shallow=dict(num_blocks=2),
    ),
    "ablations": Case(
        AblationMixer,
        {**harness.TINY_MIXER, **ABLATIONS},
        DROPS,
        lambda model: model.get_layer("MixerBlock_1").token_mixing.project,
        shallow=dict(num_blocks=2, pyramid=(7, 3)),
    ),
    "vit": Case(
        VisionTransformer,
        harness.TINY_VIT,
        {**DROPS, "attention_dropout": 0.1},
        lambda model: model.get_layer("encoderblock_1").attention.query,
        shallow=dict(num_blocks=2),
    ),
    "bit": Case(
        BiTResNet,
        harness.TINY_BIT,
        DROPS,
        lambda model: model.get_layer("block2").units[0].conv_b,
        shallow={},
    ),
}


@pytest.fixture(params=CASES)
def case(request) -> Case:
    return CASES[request.param]


def test_unknown_intermediate_names_those_that_exist(case):
    model = case.make(num_classes=0)
    names = ", ".join(model.intermediates()(case.images()))
    with pytest.raises(ValueError, match=re.escape(f"one of {names}; got 'logits'.")):
        model.intermediates("logits")


def test_compiled_by_xla_it_computes_the_same(case):
    model = case.make(**case.drops)
    compiled = tf.function(model, jit_compile=True)
    assert difference(compiled(case.images()), model(case.images())) < 1e-5


def test_mixed_precision_gives_float32_logits_near_the_exact_ones(case):
    exact, mixed = case.make(), case.make(dtype="mixed_bfloat16")
    assert case.inner(mixed).compute_dtype == "bfloat16"
    assert all(weight.dtype == tf.float32 for weight in mixed.weights)
    assert mixed(case.images()).dtype == tf.float32
    assert difference(mixed(case.images()), exact(case.images())) < 0.02


def test_dropout_and_stochastic_depth_act_in_training_only(case):
    images, plain = case.images(), case.make()
    for option in set(case.drops) - {"stochastic_depth_rescaled"}:
        model = case.make(**{option: 0.5})
        np.testing.assert_array_equal(model(images), plain(images))
        keras.utils.set_random_seed(0)
        assert difference(model(images, training=True), plain(images)) > 1e-3, option


@pytest.mark.parametrize(
    ("dtype", "jit_compile"),
    [(None, False), pytest.param("mixed_bfloat16", True, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "name", ["mixer", *(pytest.param(n, marks=pytest.mark.slow) for n in CASES if n != "mixer")]
)
def test_training_changes_every_weight_and_lowers_the_loss(name, dtype, jit_compile):
    case = CASES[name]
    keras.utils.set_random_seed(0)
    drops = {option: 0.05 for option in case.drops if option != "stochastic_depth_rescaled"}
    model = case.model_class(**{**case.fields, **case.shallow}, **drops, dtype=dtype)
    harness.assert_learns(model, case.images(), jit_compile)


@pytest.mark.parametrize("dtype", [None, pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "path", ["model.keras", pytest.param("saved_model", marks=pytest.mark.slow)]
)
def test_saved_model_is_the_same_when_loaded(case, tmp_path, path, dtype):
    model = case.make(**case.drops, dtype=dtype, name="tiny")
    harness.assert_same_after_save_and_load(model, case.images(), tmp_path / path)


@pytest.mark.parametrize("path", ["weights.h5", "model.weights.h5", "checkpoint"])
def test_saved_weights_are_the_same_when_loaded(case, tmp_path, path):
    model, other = case.make(), case.model_class(**case.fields)
    model.save_weights(str(tmp_path / path))
    other.load_weights(str(tmp_path / path))
    harness.assert_same_weights(other, model)


@pytest.mark.parametrize("dtype", [None, pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def test_model_and_layers_from_their_configs_compute_the_same(case, dtype):
    model = case.make(**case.drops, name="tiny", dtype=dtype)
    harness.assert_same_from_config(model, case.images())
    assert type(model).from_config(model.get_config()).config == model.config
    assert keras.models.clone_model(model).get_config() == model.get_config()
    for layer in model.layers:
        if not type(layer).__module__.startswith("mixer_tf"):
            continue
        shape = (2, *layer.input_shape[1:])
        inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        harness.assert_same_from_config(layer, tf.constant(inputs, layer.input.dtype))
