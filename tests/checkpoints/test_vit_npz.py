# SPDX-License-Identifier: Apache-2.0
"""ViT's .npz files, written by hand with the published names and shapes."""

import re

import numpy as np
import pytest
from tensorflow import keras

from mixer_tf.checkpoints.layouts import vit
from mixer_tf.checkpoints.loading import load_weights, save_npz
from mixer_tf.models.vit import VisionTransformer

TINY = dict(
    image_size=12,
    patch_size=4,
    num_blocks=2,
    hidden_dim=8,
    channels_mlp_dim=14,
    num_heads=2,
    num_classes=5,
)


@pytest.fixture
def make_vit():
    """make_vit(seed=0, **fields) -> VisionTransformer with random weights."""

    def make(seed=0, **fields):
        model = VisionTransformer(**{**TINY, **fields}, name="tiny")
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.weights])
        return model

    return make


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)


def published_arrays(model) -> dict[str, np.ndarray]:
    """The arrays of the authors' file for such a model, written without the code under test."""
    layer, heads = model.get_layer, model.config.num_heads
    found = {
        "cls": layer("class_token").token,
        "embedding/kernel": layer("embedding").kernel,
        "embedding/bias": layer("embedding").bias,
        "Transformer/posembed_input/pos_embedding": layer("posembed_input").embedding,
        "Transformer/encoder_norm/scale": layer("encoder_norm").gamma,
        "Transformer/encoder_norm/bias": layer("encoder_norm").beta,
        "head/kernel": layer("head").kernel,
        "head/bias": layer("head").bias,
    }
    if model.config.representation_size:
        found["pre_logits/kernel"] = layer("pre_logits").kernel
        found["pre_logits/bias"] = layer("pre_logits").bias
    for i in range(model.config.num_blocks):
        block, prefix = layer(f"encoderblock_{i}"), f"Transformer/encoderblock_{i}"
        attention = f"{prefix}/MultiHeadDotProductAttention_1"
        for part in ("query", "key", "value"):
            dense = getattr(block.attention, part)
            found[f"{attention}/{part}/kernel"] = dense.kernel.numpy().reshape(8, heads, -1)
            found[f"{attention}/{part}/bias"] = dense.bias.numpy().reshape(heads, -1)
        found[f"{attention}/out/kernel"] = block.attention.out.kernel.numpy().reshape(heads, -1, 8)
        found[f"{attention}/out/bias"] = block.attention.out.bias
        for number, norm in ((0, block.norm_0), (2, block.norm_2)):
            found[f"{prefix}/LayerNorm_{number}/scale"] = norm.gamma
            found[f"{prefix}/LayerNorm_{number}/bias"] = norm.beta
        for number, dense in enumerate((block.mlp.dense_0, block.mlp.dense_1)):
            found[f"{prefix}/MlpBlock_3/Dense_{number}/kernel"] = dense.kernel
            found[f"{prefix}/MlpBlock_3/Dense_{number}/bias"] = dense.bias
    return {name: np.asarray(array) for name, array in found.items()}


def in_current_flax(arrays):
    """Modules of each class numbered separately, as in a new checkpoint of the authors' code."""
    new = {"MultiHeadDotProductAttention_1": "MultiHeadDotProductAttention_0"}
    new |= {"LayerNorm_2": "LayerNorm_1", "MlpBlock_3": "MlpBlock_0"}
    return {
        re.sub("|".join(new), lambda match: new[match[0]], name): array
        for name, array in arrays.items()
    }


def in_big_vision(arrays):
    """Position embeddings at the top level; that of the class token is added to the token."""
    arrays = in_current_flax(arrays)
    positions = arrays.pop("Transformer/posembed_input/pos_embedding")
    arrays["cls"] = arrays["cls"] + positions[:, :1]
    arrays["pos_embedding"] = positions[:, 1:]
    return {f"params/{name}": array for name, array in arrays.items()}


def positions_in_the_encoder(arrays):
    old, new = "Transformer/posembed_input/pos_embedding", "Transformer/pos_embedding"
    return {new if name == old else name: array for name, array in arrays.items()}


def as_training_state(arrays):
    others = {"opt/state/step": np.int64(3), "opt/state/param_states/cls": np.zeros(7)}
    return {**{f"opt/target/{name}": array for name, array in arrays.items()}, **others}


@pytest.mark.parametrize(
    "rename", [dict, in_current_flax, positions_in_the_encoder, as_training_state]
)
@pytest.mark.parametrize("fields", [{}, {"representation_size": 6}], ids=str)
def test_every_naming_scheme_gives_the_same_weights(make_vit, tmp_path, rename, fields):
    original, other = make_vit(**fields), make_vit(seed=1, **fields)
    np.savez(tmp_path / "vit.npz", **rename(published_arrays(original)))
    load_weights(other, tmp_path / "vit.npz")
    for weight, expected in zip(other.weights, original.weights, strict=True):
        np.testing.assert_array_equal(weight, expected, err_msg=weight.name)


def test_big_vision_has_added_the_class_tokens_position_already(make_vit, pixels, tmp_path):
    original, other = make_vit(), make_vit(seed=1)
    np.savez(tmp_path / "vit.npz", **in_big_vision(published_arrays(original)))
    load_weights(other, tmp_path / "vit.npz")
    np.testing.assert_allclose(other(pixels), original(pixels), rtol=1e-5, atol=1e-5)


def test_a_model_without_a_class_token(make_vit, tmp_path):
    original, other = make_vit(), make_vit(seed=1, classifier="gap")
    arrays = published_arrays(original)
    del arrays["cls"]
    arrays["Transformer/posembed_input/pos_embedding"] = np.full((1, 9, 8), 0.5, np.float32)
    np.savez(tmp_path / "vit.npz", **arrays)
    load_weights(other, tmp_path / "vit.npz")
    np.testing.assert_array_equal(
        other.get_layer("posembed_input").embedding, np.full((1, 9, 8), 0.5)
    )


@pytest.mark.parametrize("fields", [{}, {"representation_size": 6}], ids=str)
def test_saved_file_has_the_published_names_and_shapes(make_vit, tmp_path, fields):
    model, other = make_vit(**fields), make_vit(seed=1, **fields)
    save_npz(model, tmp_path / "vit.npz")
    expected = published_arrays(model)
    with np.load(tmp_path / "vit.npz") as file:
        assert set(file.files) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(file[name], array, err_msg=name)
    load_weights(other, tmp_path / "vit.npz")
    for weight, same in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, same, err_msg=weight.name)


def test_saved_file_is_read_by_flax_as_the_authors_read_it(make_vit, pixels, tmp_path):
    """vit_jax/checkpoint.py: np.load, a tree at each '/', `convert_pre_linen`, `apply`."""
    flax = pytest.importorskip("flax")
    from flax.training import checkpoints

    model = make_vit(representation_size=6)
    save_npz(model, tmp_path / "vit.npz")
    with np.load(tmp_path / "vit.npz") as file:
        arrays = {tuple(name.split("/")): file[name] for name in file.files}
    params = checkpoints.convert_pre_linen(flax.traverse_util.unflatten_dict(arrays))
    inputs = pixels / np.float32(127.5) - 1
    expected = _flax_vit(model.config).apply({"params": params}, inputs)
    difference = np.abs(model(pixels) - np.asarray(expected)).max()
    assert difference < 1e-5 * np.abs(expected).max()


def _flax_vit(config):
    """A ViT whose modules Flax names itself, in the order in which the authors apply them."""
    import flax.linen as nn
    import jax.numpy as jnp

    class PositionEmbedding(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x + self.param("pos_embedding", nn.initializers.zeros, (1, *x.shape[1:]))

    class MlpBlock(nn.Module):
        @nn.compact
        def __call__(self, x):
            y = nn.gelu(nn.Dense(config.channels_mlp_dim)(x))
            return nn.Dense(x.shape[-1])(y)

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = x + nn.MultiHeadDotProductAttention(config.num_heads)(nn.LayerNorm()(x))
            return x + MlpBlock()(nn.LayerNorm()(x))

    class Encoder(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = PositionEmbedding(name="posembed_input")(x)
            for i in range(config.num_blocks):
                x = Block(name=f"encoderblock_{i}")(x)
            return nn.LayerNorm(name="encoder_norm")(x)

    class ViT(nn.Module):
        @nn.compact
        def __call__(self, x):
            n, patch = len(x), (config.patch_size,) * 2
            x = nn.Conv(config.hidden_dim, patch, strides=patch, name="embedding")(x)
            x = x.reshape(n, -1, x.shape[-1])
            token = self.param("cls", nn.initializers.zeros, (1, 1, x.shape[-1]))
            x = jnp.concatenate([jnp.tile(token, (n, 1, 1)), x], axis=1)
            x = Encoder(name="Transformer")(x)[:, 0]
            x = nn.tanh(nn.Dense(config.representation_size, name="pre_logits")(x))
            return nn.Dense(config.num_classes, name="head")(x)

    return ViT()


def test_position_embeddings_are_resized_for_larger_images(make_vit, tmp_path):
    ndimage = pytest.importorskip("scipy.ndimage")
    small, large = make_vit(), make_vit(seed=1, image_size=(20, 24))
    save_npz(small, tmp_path / "vit.npz")
    load_weights(large, tmp_path / "vit.npz")
    old = small.get_layer("posembed_input").embedding.numpy()
    new = large.get_layer("posembed_input").embedding.numpy()
    np.testing.assert_array_equal(new[:, 0], old[:, 0])
    expected = ndimage.zoom(old[0, 1:].reshape(3, 3, 8), (5 / 3, 6 / 3, 1), order=1)
    np.testing.assert_allclose(new[0, 1:].reshape(5, 6, 8), expected, atol=1e-6)
    pairs = zip(large.weights, small.weights, strict=True)
    others = [(a, b) for a, b in pairs if a.shape == b.shape]
    assert len(others) == len(small.weights) - 1
    assert all(np.array_equal(a, b) for a, b in others)


def test_a_new_head_can_have_another_number_of_classes(make_vit, tmp_path):
    save_npz(make_vit(num_classes=7), tmp_path / "vit.npz")
    model = make_vit(seed=1, head_bias_init=-6.9)
    load_weights(model, tmp_path / "vit.npz", head="new")
    assert not model.get_layer("head").kernel.numpy().any()
    np.testing.assert_allclose(model.get_layer("head").bias, np.full(5, -6.9), rtol=1e-6)


def test_a_model_without_a_head_ignores_the_checkpoints_head(make_vit, pixels, tmp_path):
    original, model = make_vit(), make_vit(seed=1, num_classes=0)
    save_npz(original, tmp_path / "vit.npz")
    load_weights(model, tmp_path / "vit.npz")
    features = original.intermediates("pre_logits")(pixels)["pre_logits"]
    np.testing.assert_array_equal(model(pixels), features)


def test_pre_logits_are_dropped_with_the_head_unless_the_model_has_them(make_vit, tmp_path):
    original = make_vit(representation_size=6)
    save_npz(original, tmp_path / "vit.npz")
    load_weights(make_vit(seed=1), tmp_path / "vit.npz", head="new")
    model = make_vit(seed=1, representation_size=6)
    load_weights(model, tmp_path / "vit.npz", head="new")
    np.testing.assert_array_equal(
        model.get_layer("pre_logits").kernel, original.get_layer("pre_logits").kernel
    )


def test_one_error_lists_everything_that_does_not_fit(make_vit, tmp_path):
    save_npz(make_vit(num_blocks=4, representation_size=6), tmp_path / "vit.npz")
    model = make_vit(channels_mlp_dim=10)
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        load_weights(model, tmp_path / "vit.npz")
    lines = str(error.value).splitlines()
    assert lines[0] == f"the checkpoint {tmp_path}/vit.npz must fit the model tiny; it does not."
    assert "    Transformer/encoderblock_{2-3}/LayerNorm_2/scale" in lines
    assert "    pre_logits/kernel" in lines
    block = "    Transformer/encoderblock_{0-1}/MlpBlock_3"
    assert f"{block}/Dense_0/kernel is [8, 14], must be [8, 10]" in lines
    assert lines[-1] == (
        "The checkpoint is for a ViT: patch_size=4, num_blocks=4, hidden_dim=8, "
        "channels_mlp_dim=14, num_heads=2, classifier='token'. "
        'For its pre_logits layer give representation_size=6, or use head="new".'
    )
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_another_number_of_classes_suggests_a_new_head(make_vit, tmp_path):
    save_npz(make_vit(num_classes=7), tmp_path / "vit.npz")
    with pytest.raises(ValueError, match=r'head/bias is \[7\], must be \[5\]\nUse head="new"'):
        load_weights(make_vit(), tmp_path / "vit.npz")


def test_another_number_of_heads_does_not_fit(make_vit, tmp_path):
    save_npz(make_vit(), tmp_path / "vit.npz")
    with pytest.raises(ValueError, match=r"query/kernel is \[8, 2, 4\], must be \[8, 4, 2\]"):
        load_weights(make_vit(num_heads=4), tmp_path / "vit.npz")


def test_a_checkpoint_that_is_not_a_vit_is_an_error(make_vit, tiny_model, tmp_path):
    np.savez(tmp_path / "other.npz", weight=np.zeros(3))
    with pytest.raises(ValueError, match="This is not a ViT checkpoint"):
        load_weights(make_vit(), tmp_path / "other.npz")
    save_npz(tiny_model, tmp_path / "mixer.npz")
    with pytest.raises(ValueError, match="This is not a ViT checkpoint"):
        load_weights(make_vit(), tmp_path / "mixer.npz")


def test_a_known_size_is_named(make_vit):
    block = "Transformer/encoderblock_{}"
    found = {f"{block.format(i)}/LayerNorm_0/scale": (192,) for i in range(12)}
    found |= {
        "cls": (1, 1, 192),
        "embedding/kernel": (16, 16, 3, 192),
        f"{block.format(0)}/MlpBlock_3/Dense_0/kernel": (192, 768),
        f"{block.format(0)}/MultiHeadDotProductAttention_1/query/kernel": (192, 3, 64),
    }
    assert vit.hint(found, {}, make_vit()) == (
        "The checkpoint is for vit_ti16: patch_size=16, num_blocks=12, hidden_dim=192, "
        "channels_mlp_dim=768, num_heads=3, classifier='token'."
    )


def test_a_model_in_mixed_precision_loads_the_same_weights(make_vit, tmp_path):
    original = make_vit()
    save_npz(original, tmp_path / "vit.npz")
    mixed = VisionTransformer(**TINY, dtype=keras.mixed_precision.Policy("mixed_bfloat16"))
    load_weights(mixed, tmp_path / "vit.npz")
    for weight, same in zip(mixed.weights, original.weights, strict=True):
        np.testing.assert_array_equal(weight, same, err_msg=weight.name)
