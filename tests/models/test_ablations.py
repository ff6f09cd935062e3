# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from mixer_tf.models import MixerConfig, MlpMixer
from mixer_tf.models.ablations import AblationMixerBlock, TokenMixing
from mixer_tf.models.costs import count_multiply_adds, count_parameters
from mixer_tf.models.layers import MixerBlock

VARIATIONS = {
    "untied": dict(untied=True),
    "groups": dict(channel_groups=2),
    "views": dict(channel_groups=4, channel_views=True),
    "pyramid": dict(pyramid=(12, 5, 5)),
    "untied_groups": dict(untied=True, channel_groups=2),
    "all": dict(
        untied=True,
        channel_groups=2,
        channel_views=True,
        pyramid=(7, 7, 3),
        dropout=0.1,
        stochastic_depth=0.2,
        stochastic_depth_rescaled=True,
    ),
}


@pytest.fixture(params=VARIATIONS)
def fields(request, tiny):
    return {**tiny, **VARIATIONS[request.param]}


def test_varied_model_equals_the_numpy_reference(
    fields, pixels, numpy_mixer, weights_by_name, randomize
):
    model = randomize(MlpMixer(**fields))
    groups = fields.get("channel_groups", 1)
    expected = numpy_mixer(weights_by_name(model), fields["patch_size"], groups)(pixels)
    assert np.abs(model(pixels) - expected).max() < 2e-6 * np.abs(expected).max()


def test_costs_of_a_varied_model_are_those_of_the_computation(
    fields, pixels, numpy_mixer, weights_by_name
):
    model, config = MlpMixer(**fields), MixerConfig(**fields)
    reference = numpy_mixer(weights_by_name(model), fields["patch_size"], config.channel_groups)
    reference(pixels[:1])
    assert count_parameters(config) == model.count_params()
    assert count_multiply_adds(config) == reference.multiply_adds


def test_untying_multiplies_the_parameters_of_token_mixing_by_the_channels(tiny):
    """Supplement A.1: "effectively multiplying the number of parameters by C"."""
    tied, untied = MixerConfig(**tiny), MixerConfig(**tiny, untied=True)
    token_mixing = 3 * (12 * 10 + 10 + 10 * 12 + 12)
    assert count_parameters(untied) - count_parameters(tied) == (8 - 1) * token_mixing
    assert count_multiply_adds(untied) == count_multiply_adds(tied)


def test_varied_model_is_the_same_after_save_and_load(fields, pixels, randomize, tmp_path):
    model = randomize(MlpMixer(**fields))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    np.testing.assert_array_equal(loaded(pixels), model(pixels))


def test_varied_block_is_rebuilt_from_its_config():
    ablation = dict(groups=2, views=True, untied=True, tokens_out=3)
    block = AblationMixerBlock(6, 10, 0.1, 0.2, True, ablation=ablation, name="block")
    assert AblationMixerBlock.from_config(block.get_config()).get_config() == block.get_config()


def test_new_untied_weights_are_lecun_normal_for_each_channel():
    layer = TokenMixing(30, untied=True, groups=2)
    layer(tf.zeros((1, 100, 20)))
    assert layer.dense_0.kernel.shape == (50, 40, 30)
    assert layer.dense_0.kernel.numpy().std() == pytest.approx(40**-0.5, rel=0.02)
    assert layer.dense_1.kernel.numpy().std() == pytest.approx(30**-0.5, rel=0.02)


def test_untied_mlps_with_equal_weights_are_the_papers_shared_one(randomize, weights_by_name):
    x = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    shared = MixerBlock(5, 7, name="block")
    untied = AblationMixerBlock(5, 7, ablation=dict(untied=True), name="block")
    shared(x), untied(x)
    values = weights_by_name(randomize(shared))
    for name, weight in zip(weights_by_name(untied), untied.weights, strict=True):
        each_channel = "token_mixing" in name
        weight.assign(np.stack([values[name]] * 8) if each_channel else values[name])
    np.testing.assert_allclose(untied(x), shared(x), rtol=1e-5, atol=1e-6)


def test_varied_model_trains_under_xla_in_mixed_precision(tiny, pixels, randomize):
    fields = {**tiny, **VARIATIONS["all"], "num_blocks": 1, "pyramid": (7,)}
    model = randomize(MlpMixer(**fields, dtype="mixed_bfloat16"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=True)
    before = model.get_weights()
    model.fit(pixels, np.array([0, 1, 2]), epochs=5, verbose=0)
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(channel_groups=3), "channel_groups must divide hidden_dim; got channel_groups=3"),
        (dict(channel_groups=3), "hidden_dim=8. Use 2 or 4."),
        (dict(channel_views=True), "channel_views needs groups; got channel_groups=1. Use 2"),
        (dict(pyramid=(12, 6)), r"one number of tokens for each block .* got pyramid=\(12, 6\), n"),
        (dict(pyramid=(6, 12, 6)), "must not grow"),
        (dict(pyramid=(13, 12, 6)), "more tokens than there are patches; got 13, of 12 patches"),
    ],
)
def test_impossible_variation_is_a_clear_error(tiny, options, message):
    with pytest.raises(ValueError, match=message):
        MixerConfig(**tiny, **options)
