# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mixer_tf
from mixer_tf.checkpoints import convert


def test_from_timm_to_the_authors_and_back(tmp_path, tiny_model, timm_arrays, authors_arrays):
    theirs = timm_arrays(tiny_model)
    save_file(theirs, tmp_path / "timm.safetensors")
    convert(tmp_path / "timm.safetensors", tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert sorted(file.files) == sorted(authors_arrays(tiny_model))
    convert(tmp_path / "model.npz", tmp_path / "back.safetensors")
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(back[name], array)


def test_what_is_converted_loads(tmp_path, make_tiny, timm_arrays, assert_same_weights):
    model, other = make_tiny(0), make_tiny(1)
    save_file(timm_arrays(model), tmp_path / "timm.safetensors")
    convert(tmp_path / "timm.safetensors", tmp_path / "model.npz")
    mixer_tf.load_weights(other, tmp_path / "model.npz")
    assert_same_weights(model, other)


def test_only_mixers_are_converted(tmp_path):
    np.savez(tmp_path / "vit.npz", **{"Transformer/encoder_norm/bias": np.zeros(3)})
    with pytest.raises(
        ValueError, match="must be the checkpoint of a Mixer; it holds Transformer/"
    ):
        convert(tmp_path / "vit.npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_the_target_says_its_format(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .npz or .safetensors; got .*out.pth"):
        convert(tmp_path / "a.npz", tmp_path / "out.pth")
