# SPDX-License-Identifier: Apache-2.0
"""load_weights and save_npz: round trips, timm's and Flax's outputs, heads, resolutions."""

import pathlib

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf
from mixer_tf import recipes
from mixer_tf.models import MlpMixer

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "timm"
TOLERANCE = 1e-6


def difference(actual, expected) -> float:
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


def test_round_trip_is_exact(tmp_path, make_tiny, assert_same_weights):
    model, other = make_tiny(seed=0), make_tiny(seed=1)
    mixer_tf.save_npz(model, tmp_path / "model.npz")
    mixer_tf.load_weights(other, tmp_path / "model.npz")
    assert_same_weights(model, other)


@pytest.mark.parametrize(
    "options",
    [{"untied": True}, {"channel_groups": 2, "channel_views": True}, {"pyramid": (9, 6, 6)}],
)
def test_round_trip_of_the_ablations_of_supplement_a(
    tmp_path, make_tiny, assert_same_weights, options
):
    model, other = make_tiny(seed=0, **options), make_tiny(seed=1, **options)
    mixer_tf.save_npz(model, tmp_path / "model.npz")
    mixer_tf.load_weights(other, tmp_path / "model.npz")
    assert_same_weights(model, other)


def test_saved_file_has_the_authors_names_and_shapes(tmp_path, tiny_model, flax_arrays):
    mixer_tf.save_npz(tiny_model, tmp_path / "model.npz")
    expected = flax_arrays(tiny_model)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert sorted(file.files) == sorted(expected)
        for name, array in expected.items():
            assert file[name].dtype == np.float32
            np.testing.assert_array_equal(file[name], array)


def test_a_model_in_bfloat16_is_saved_in_bfloat16_as_the_authors_save_it(
    tmp_path, make_tiny, assert_same_weights
):
    model, other = (make_tiny(seed, dtype="bfloat16") for seed in (0, 1))
    mixer_tf.save_npz(model, tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        stem = file["stem/kernel"].view(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(stem, model.get_layer("stem").kernel.numpy())
    mixer_tf.load_weights(other, tmp_path / "model.npz")
    assert_same_weights(model, other)


@pytest.mark.parametrize("gelu", ["exact", "tanh"])
@pytest.mark.parametrize("file", ["mixer.safetensors", "mixer_zip.pth", "mixer_sequence.pth"])
def test_a_timm_file_gives_timms_logits(file, gelu):
    """With timm's exact GELU, and with the authors' approximation."""
    model = MlpMixer(
        image_size=8,
        patch_size=4,
        num_blocks=2,
        hidden_dim=6,
        tokens_mlp_dim=3,
        channels_mlp_dim=24,
        num_classes=3,
        exact_gelu=gelu == "exact",
    )
    mixer_tf.load_weights(model, GOLDEN / file)
    golden = np.load(GOLDEN / "logits.npz")
    logits = model(golden["pixels"])
    assert difference(logits, golden[gelu]) < TOLERANCE
    assert difference(golden["tanh"], golden["exact"]) > 10 * TOLERANCE


def test_models_with_the_api_of_keras_applications(tmp_path):
    model = mixer_tf.MixerS32(input_shape=(64, 64, 3), classes=3, weights=None)
    mixer_tf.save_npz(model, tmp_path / "model.npz")
    other = mixer_tf.create_model("mixer_s32", image_size=64, num_classes=3)
    mixer_tf.load_weights(other, tmp_path / "model.npz")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    assert difference(tf.nn.softmax(other(pixels)), np.asarray(model(pixels))) < TOLERANCE
    mixer_tf.load_weights(model, tmp_path / "model.npz")


# Heads.


@pytest.fixture
def five_classes(tmp_path, make_tiny):
    """Path of a checkpoint with five classes."""
    mixer_tf.save_npz(make_tiny(), tmp_path / "five.npz")
    return tmp_path / "five.npz"


def features(model, pixels):
    return np.asarray(model.intermediates("pre_logits")(pixels)["pre_logits"])


@pytest.mark.parametrize("num_classes", [5, 7])
def test_a_new_head_is_initialized_as_in_a_new_model(five_classes, make_tiny, pixels, num_classes):
    model = make_tiny(seed=1, num_classes=num_classes, head_bias_init=-6.9)
    mixer_tf.load_weights(model, five_classes, head="new")
    np.testing.assert_array_equal(model.get_layer("head").kernel, 0)
    np.testing.assert_array_equal(model.get_layer("head").bias, np.float32(-6.9))
    np.testing.assert_array_equal(features(model, pixels), features(make_tiny(), pixels))


def test_a_model_without_a_head_ignores_the_checkpoints_head(five_classes, make_tiny, pixels):
    model = make_tiny(seed=1, num_classes=0)
    mixer_tf.load_weights(model, five_classes)
    np.testing.assert_array_equal(np.asarray(model(pixels)), features(make_tiny(), pixels))


def test_a_checkpoint_without_a_head_requires_a_new_head(tmp_path, make_tiny):
    mixer_tf.save_npz(make_tiny(num_classes=0), tmp_path / "none.npz")
    with pytest.raises(ValueError, match='(?s)missing .*head/kernel.*Use head="new"'):
        mixer_tf.load_weights(make_tiny(), tmp_path / "none.npz")
    mixer_tf.load_weights(make_tiny(), tmp_path / "none.npz", head="new")


def test_another_number_of_classes_is_an_error_that_changes_nothing(five_classes, make_tiny):
    model = make_tiny(seed=1, num_classes=7)
    before = model.get_weights()
    with pytest.raises(ValueError) as raised:
        mixer_tf.load_weights(model, five_classes)
    assert str(raised.value) == (
        f"the checkpoint {five_classes} must fit the model mlp_mixer; it does not.\n"
        "  wrong shape:\n"
        "    head/kernel is [8, 5], must be [8, 7]\n"
        "    head/bias is [5], must be [7]\n"
        'Use head="new" for a new head.'
    )
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_an_unknown_value_for_head_is_an_error(five_classes, tiny_model):
    with pytest.raises(ValueError, match="head must be None or \"new\"; got 'zero'"):
        mixer_tf.load_weights(tiny_model, five_classes, head="zero")


# Resolutions.


def test_weights_are_upscaled_for_an_integer_multiple_of_the_grid(
    five_classes, make_tiny, pixels, assert_same_weights
):
    model = make_tiny(seed=1, image_size=(24, 32), tokens_mlp_dim=4 * 10)
    mixer_tf.load_weights(model, five_classes)
    assert_same_weights(model, mixer_tf.upscale(make_tiny(), factor=2))


def test_a_larger_grid_with_the_old_width_says_how_to_upscale(five_classes, make_tiny):
    with pytest.raises(ValueError) as raised:
        mixer_tf.load_weights(make_tiny(image_size=(24, 32)), five_classes)
    assert "MixerBlock_{0-2}/token_mixing/Dense_0/kernel is [12, 10]" in str(raised.value)
    assert str(raised.value).endswith(
        "The checkpoint is for 12 patches, the model for 48. Load it into a model for its own "
        "image size, and then use mixer_tf.upscale(model, factor=2); or give this model "
        "tokens_mlp_dim=40."
    )


def test_a_grid_that_is_not_an_integer_multiple_says_how_to_interpolate(five_classes, make_tiny):
    with pytest.raises(ValueError, match=r"for 12 patches, the model for 15\..*interpolate=True"):
        mixer_tf.load_weights(make_tiny(image_size=(12, 20)), five_classes)


def test_a_corrupt_file_is_one_clear_error(five_classes, tiny_model):
    content = bytearray(five_classes.read_bytes())
    content[len(content) // 2] ^= 255
    five_classes.write_bytes(content)
    with pytest.raises(ValueError, match="five.npz is corrupt or truncated"):
        mixer_tf.load_weights(tiny_model, five_classes)


def test_a_file_that_is_corrupt_in_its_last_weight_changes_none(tmp_path, make_tiny):
    path = tmp_path / "corrupt.npz"
    mixer_tf.save_npz(make_tiny(num_classes=1000), path)
    content = bytearray(path.read_bytes())
    content[content.index(b"head/kernel.npy") + 30_000] ^= 255  # of 32,000 bytes
    path.write_bytes(content)
    model = make_tiny(seed=1, num_classes=1000)
    before = model.get_weights()
    with pytest.raises(ValueError, match="corrupt.npz is corrupt or truncated: Bad CRC-32"):
        mixer_tf.load_weights(model, path)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


# Against Flax, the authors' framework.


def test_round_trip_through_flax(tmp_path, make_tiny, pixels):
    flax = pytest.importorskip("flax")
    network = listing_1(make_tiny().config)
    image = pixels / np.float32(127.5) - 1

    model = make_tiny()
    mixer_tf.save_npz(model, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as file:
        params = flax.traverse_util.unflatten_dict(dict(file), sep="/")
    expected = np.asarray(network.apply({"params": params}, image))
    assert difference(model(pixels), expected) < 1e-5

    import jax

    params = network.init(jax.random.PRNGKey(0), image)["params"]
    params["head"]["kernel"] = jax.random.normal(jax.random.PRNGKey(1), (8, 5))
    expected = np.asarray(network.apply({"params": params}, image))
    np.savez(tmp_path / "theirs.npz", **flax.traverse_util.flatten_dict(params, sep="/"))
    mixer_tf.load_weights(model, tmp_path / "theirs.npz")
    assert difference(model(pixels), expected) < 1e-5


def listing_1(config):
    """Listing 1 of the paper (arXiv:2105.01601), with Flax's layers and their defaults."""
    import flax.linen as nn
    import jax.numpy as jnp

    class MlpBlock(nn.Module):
        mlp_dim: int

        @nn.compact
        def __call__(self, x):
            y = nn.Dense(self.mlp_dim)(x)
            y = nn.gelu(y)
            return nn.Dense(x.shape[-1])(y)

    class MixerBlock(nn.Module):
        tokens_mlp_dim: int
        channels_mlp_dim: int

        @nn.compact
        def __call__(self, x):
            y = nn.LayerNorm()(x)
            y = jnp.swapaxes(y, 1, 2)
            y = MlpBlock(self.tokens_mlp_dim, name="token_mixing")(y)
            y = jnp.swapaxes(y, 1, 2)
            x = x + y
            y = nn.LayerNorm()(x)
            return x + MlpBlock(self.channels_mlp_dim, name="channel_mixing")(y)

    class Mixer(nn.Module):
        @nn.compact
        def __call__(self, x):
            s = config.patch_size
            x = nn.Conv(config.hidden_dim, (s, s), strides=(s, s), name="stem")(x)
            x = x.reshape(x.shape[0], -1, x.shape[-1])
            for _ in range(config.num_blocks):
                x = MixerBlock(config.tokens_mlp_dim, config.channels_mlp_dim)(x)
            x = nn.LayerNorm(name="pre_head_layer_norm")(x)
            x = jnp.mean(x, axis=1)
            return nn.Dense(config.num_classes, name="head", kernel_init=nn.initializers.zeros)(x)

    return Mixer()


@pytest.mark.parametrize(
    ("field", "value"), [("untied", "true"), ("channel_groups", "2"), ("exact_gelu", "true")]
)
def test_an_export_that_computes_something_else_with_its_weights_is_refused(
    tmp_path, make_tiny, field, value
):
    model = make_tiny()
    recipe = recipes.get("digits").override([f"model.{field}={value}"])
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "saved_model.pb").touch()
    (tmp_path / "assets.extra" / "recipe.json").write_text(recipe.to_json())
    with pytest.raises(ValueError, match=f"must be of a model with {field}="):
        mixer_tf.load_weights(model, tmp_path)
