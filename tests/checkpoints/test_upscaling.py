# SPDX-License-Identifier: Apache-2.0
"""The two exact properties of supplement C, interpolation, and errors."""

import harness
import numpy as np
import pytest
from tensorflow import keras

import mixer_tf
from mixer_tf.checkpoints.upscaling import fitting_size, upscale

TOLERANCE = 1e-6  # relative to the largest logit; about 0.3 with the tokens in the wrong order


def difference(actual, expected) -> float:
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


@pytest.fixture(scope="module")
def trained():
    """The tiny model after some training steps, so that its weights are not just random."""
    model = harness.make_mixer()
    model.compile(
        keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(harness.make_images(), np.array([0, 1, 2]), epochs=20, verbose=0)
    return model


ABLATIONS = {
    "groups": dict(channel_groups=2),
    "views": dict(channel_groups=4, channel_views=True),
    "untied": dict(untied=True),
    "untied groups": dict(untied=True, channel_groups=2),
}


@pytest.fixture(params=["random", "trained", *ABLATIONS])
def model(request, make_tiny):
    """12x16 pixels in patches of 4: a grid of 3x4, which is not square."""
    if request.param in ABLATIONS:
        return make_tiny(**ABLATIONS[request.param])
    return request.getfixturevalue("tiny_model" if request.param == "random" else "trained")


@pytest.mark.parametrize("factor", [2, 3])
def test_equal_tiles_give_the_logits_of_one_tile(model, pixels, factor):
    larger = upscale(model, factor)
    repeated = np.tile(pixels, (1, factor, factor, 1))
    assert difference(larger(repeated), np.asarray(model(pixels))) < TOLERANCE


@pytest.mark.parametrize("factor", [2, 3])
def test_any_image_gives_the_mean_of_the_logits_of_its_tiles(model, factor):
    height, width = (factor * side for side in model.config.image_size)
    image = np.random.default_rng(4).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    tiles = [
        np.asarray(model(image[:, 12 * row : 12 * row + 12, 16 * column : 16 * column + 16]))
        for row in range(factor)
        for column in range(factor)
    ]
    assert difference(upscale(model, factor)(image), np.mean(tiles, axis=0)) < TOLERANCE


def test_only_size_and_width_of_the_model_change(make_tiny):
    model = make_tiny(dropout=0.1, stochastic_depth=0.2, name="mine", dtype="mixed_bfloat16")
    before = model.get_weights()
    larger = upscale(model, image_size=(24, 32))
    assert larger.config.image_size == (24, 32) and larger.config.tokens_mlp_dim == 40
    assert (larger.config.dropout, larger.config.stochastic_depth) == (0.1, 0.2)
    assert larger.name == "mine" and larger.dtype_policy.name == "mixed_bfloat16"
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_upscale_is_public_and_works_without_a_head(make_tiny, pixels):
    larger = mixer_tf.upscale(make_tiny(num_classes=0), factor=2)
    assert larger(np.tile(pixels, (1, 2, 2, 1))).shape == (3, 8)


def test_a_rectangle_with_as_many_patches_is_not_the_size_of_a_square():
    """7x28 are 14x14 patches in another order; other rectangles have the requested size."""
    shapes = {
        "stem/kernel": (16, 16, 3, 768),
        "MixerBlock_0/token_mixing/Dense_0/kernel": (196, 384),
    }
    assert fitting_size(shapes, None, None) == (224, 384)
    assert fitting_size(shapes, 448, None) == (448, 4 * 384)
    assert fitting_size(shapes, (112, 448), None) == (224, 384)
    shapes["MixerBlock_0/token_mixing/Dense_0/kernel"] = (98, 384)
    assert fitting_size(shapes, (112, 224), None) == ((112, 224), 384)


def test_other_sizes_need_interpolation(tiny_model):
    with pytest.raises(ValueError) as raised:
        upscale(tiny_model, image_size=(16, 20))
    assert str(raised.value) == (
        "image_size must be an integer multiple of the model's, 12x16 pixels; got 16x20. "
        "Use 24x32 or 36x48, or interpolate=True, which is not in the paper."
    )
    larger = upscale(tiny_model, image_size=(16, 20), interpolate=True)
    assert larger.config.tokens_mlp_dim == tiny_model.config.tokens_mlp_dim
    uniform = np.full((1, 16, 20, 3), 100, np.uint8)
    assert np.isfinite(larger(uniform)).all()


def test_interpolated_weights_give_the_same_logits_for_a_uniform_image(make_tiny):
    """If each hidden unit has equal weights for all tokens, all tokens of the image stay equal."""
    model = make_tiny()
    for i in range(3):
        dense_0, dense_1 = (
            getattr(model.get_layer(f"MixerBlock_{i}").token_mixing, name)
            for name in ("dense_0", "dense_1")
        )
        dense_0.kernel.assign(np.tile(dense_0.kernel[:1], (12, 1)))
        dense_1.kernel.assign(np.tile(dense_1.kernel[:, :1], (1, 12)))
        dense_1.bias.assign(np.tile(dense_1.bias[:1], 12))
    larger = upscale(model, image_size=(16, 20), interpolate=True)
    uniform = np.full((1, 16, 20, 3), 100, np.uint8)
    assert difference(larger(uniform), np.asarray(model(uniform[:, :12, :16]))) < TOLERANCE


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({}, ValueError, "either the factor or the new image_size; got factor=None, image_"),
        ({"factor": 2, "image_size": 24}, ValueError, "got factor=2, image_size=24"),
        ({"factor": 0}, ValueError, "factor must be at least 1; got 0"),
        ({"factor": 1.5}, TypeError, "factor must be an integer; got 1.5"),
        ({"image_size": 25}, ValueError, "patch_size must divide image_size"),
        ({"image_size": (24, 48)}, ValueError, "multiple of the model's, 12x16 pixels; got 24x48"),
        ({"image_size": (8, 8)}, ValueError, "multiple of the model's, 12x16 pixels; got 8x8"),
    ],
)  # fmt: skip
def test_errors(tiny_model, arguments, error, message):
    with pytest.raises(error, match=message):
        upscale(tiny_model, **arguments)


def test_a_pyramid_is_refused(make_tiny):
    with pytest.raises(ValueError, match=r"upscale needs .* as tokens; got pyramid=\(12, 12, 6\)"):
        upscale(make_tiny(pyramid=(12, 12, 6)), 2)


def test_a_model_without_a_config_is_refused():
    model = mixer_tf.MixerS32(weights=None, input_shape=(64, 64, 3), classes=2)
    with pytest.raises(TypeError, match="upscale needs an MlpMixer, as create_model returns it"):
        upscale(model, 2)
