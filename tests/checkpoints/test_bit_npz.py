# SPDX-License-Identifier: Apache-2.0
"""BiT's .npz files, written by hand with the published names and shapes."""

import numpy as np
import pytest

from mixer_tf.checkpoints.layouts import bit
from mixer_tf.checkpoints.loading import load_weights, save_npz
from mixer_tf.models.bit import BiTResNet

TINY = dict(image_size=16, num_units=(1, 2), width=8, num_groups=4, num_classes=5)


@pytest.fixture
def make_bit():
    """make_bit(seed=0, **fields) -> BiTResNet with random weights."""

    def make(seed=0, **fields):
        model = BiTResNet(**{**TINY, **fields}, name="tiny")
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.weights])
        return model

    return make


def units(model):
    for b in range(1, 1 + len(model.config.num_units)):
        for i, unit in enumerate(model.get_layer(f"block{b}").units, start=1):
            yield f"block{b}/unit{i:02d}", unit


def published_arrays(model) -> dict[str, np.ndarray]:
    """The arrays of the authors' file for such a model, written without the code under test."""
    norm, head = model.get_layer("group_norm"), model.get_layer("head")
    found = {
        "resnet/root_block/standardized_conv2d/kernel": model.get_layer("root_block").conv.kernel,
        "resnet/group_norm/gamma": norm.gamma,
        "resnet/group_norm/beta": norm.beta,
        "resnet/head/conv2d/kernel": head.kernel.numpy()[None, None],
        "resnet/head/conv2d/bias": head.bias,
    }
    for name, unit in units(model):
        for part in "abc":
            norm, conv = getattr(unit, f"norm_{part}"), getattr(unit, f"conv_{part}")
            found[f"resnet/{name}/{part}/group_norm/gamma"] = norm.gamma
            found[f"resnet/{name}/{part}/group_norm/beta"] = norm.beta
            found[f"resnet/{name}/{part}/standardized_conv2d/kernel"] = conv.kernel
        if unit.conv_proj:
            proj = f"resnet/{name}/a/proj/standardized_conv2d/kernel"
            found[proj] = unit.conv_proj.kernel
    return {name: np.asarray(array) for name, array in found.items()}


def flax_arrays(model, head: str) -> dict[str, np.ndarray]:
    """The same arrays with the names and shapes of the authors' Flax code."""
    norm, last = model.get_layer("group_norm"), model.get_layer("head")
    found = {
        "root_block/conv_root/kernel": model.get_layer("root_block").conv.kernel,
        "norm-pre-head/scale": norm.gamma.numpy()[None, None, None],
        "norm-pre-head/bias": norm.beta.numpy()[None, None, None],
        f"{head}/kernel": last.kernel,
        f"{head}/bias": last.bias,
    }
    for name, unit in units(model):
        for number, part in enumerate("abc", start=1):
            norm, conv = getattr(unit, f"norm_{part}"), getattr(unit, f"conv_{part}")
            found[f"{name}/gn{number}/scale"] = norm.gamma.numpy()[None, None, None]
            found[f"{name}/gn{number}/bias"] = norm.beta.numpy()[None, None, None]
            found[f"{name}/conv{number}/kernel"] = conv.kernel
        if unit.conv_proj:
            found[f"{name}/conv_proj/kernel"] = unit.conv_proj.kernel
    return {name: np.asarray(array) for name, array in found.items()}


def numbered(model):
    """With numbers after the convolutions, as in files that big_vision's loader converts."""
    return {
        name.replace("standardized_conv2d/", f"standardized_conv2d_{i}/"): array
        for i, (name, array) in enumerate(published_arrays(model).items(), start=1)
    }


NAMINGS = {
    "published": published_arrays,
    "numbered": numbered,
    "bit_jax": lambda model: flax_arrays(model, "conv_head"),
    "big_vision": lambda model: {
        f"params/{name}": array for name, array in flax_arrays(model, "head").items()
    },
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_naming_scheme_gives_the_same_weights(make_bit, tmp_path, naming):
    original, other = make_bit(), make_bit(seed=1)
    np.savez(tmp_path / "bit.npz", **NAMINGS[naming](original))
    load_weights(other, tmp_path / "bit.npz")
    for weight, expected in zip(other.weights, original.weights, strict=True):
        np.testing.assert_array_equal(weight, expected, err_msg=weight.name)


def test_saved_file_has_the_published_names_and_shapes(make_bit, tmp_path):
    model, other = make_bit(), make_bit(seed=1)
    save_npz(model, tmp_path / "bit.npz")
    expected = published_arrays(model)
    with np.load(tmp_path / "bit.npz") as file:
        assert set(file.files) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(file[name], array, err_msg=name)
    load_weights(other, tmp_path / "bit.npz")
    for weight, same in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, same, err_msg=weight.name)


def test_a_model_for_another_image_size_loads_the_same_weights(make_bit, tmp_path):
    original, larger = make_bit(), make_bit(seed=1, image_size=(21, 32))
    save_npz(original, tmp_path / "bit.npz")
    load_weights(larger, tmp_path / "bit.npz")
    for weight, same in zip(larger.weights, original.weights, strict=True):
        np.testing.assert_array_equal(weight, same, err_msg=weight.name)


def test_a_new_head_can_have_another_number_of_classes(make_bit, tmp_path):
    save_npz(make_bit(num_classes=7), tmp_path / "bit.npz")
    model = make_bit(seed=1, head_bias_init=-6.9)
    load_weights(model, tmp_path / "bit.npz", head="new")
    assert not model.get_layer("head").kernel.numpy().any()
    np.testing.assert_allclose(model.get_layer("head").bias, np.full(5, -6.9), rtol=1e-6)
    load_weights(make_bit(num_classes=0), tmp_path / "bit.npz")


def test_one_error_lists_everything_that_does_not_fit(make_bit, tmp_path):
    save_npz(make_bit(num_units=(1, 4), num_classes=7), tmp_path / "bit.npz")
    model = make_bit(num_units=(2, 2))
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        load_weights(model, tmp_path / "bit.npz")
    lines = str(error.value).splitlines()
    assert lines[1] == "  missing in the checkpoint:"
    assert "    resnet/block1/unit02/a/group_norm/gamma" in lines
    assert "    resnet/block2/unit{03-04}/b/standardized_conv2d/kernel" in lines
    assert "    resnet/head/conv2d/kernel is [1, 1, 64, 7], must be [1, 1, 64, 5]" in lines
    assert lines[-1] == "The checkpoint is for a BiT ResNet: num_units=(1, 4), width=8."
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_another_number_of_classes_suggests_a_new_head(make_bit, tmp_path):
    save_npz(make_bit(num_classes=7), tmp_path / "bit.npz")
    with pytest.raises(ValueError, match=r'bias is \[7\], must be \[5\]\nUse head="new"'):
        load_weights(make_bit(), tmp_path / "bit.npz")


def test_a_known_size_is_named(make_bit):
    found = {"resnet/root_block/standardized_conv2d/kernel": (7, 7, 3, 192)}
    for block, count in enumerate((3, 4, 6, 3), start=1):
        for unit in range(1, count + 1):
            found[f"resnet/block{block}/unit{unit:02d}/a/group_norm/gamma"] = (64,)
    assert bit.hint(found, {}, make_bit()) == (
        "The checkpoint is for bit_r50x3: num_units=(3, 4, 6, 3), width=192."
    )


def test_a_checkpoint_that_is_not_a_bit_is_an_error(make_bit, tmp_path):
    np.savez(tmp_path / "other.npz", weight=np.zeros(3))
    with pytest.raises(ValueError, match="This is not a BiT checkpoint"):
        load_weights(make_bit(), tmp_path / "other.npz")
