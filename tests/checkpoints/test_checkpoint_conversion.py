# SPDX-License-Identifier: Apache-2.0
"""convert between timm's and the authors' formats."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mixer_tf
from mixer_tf.checkpoints import convert


def test_timm_to_npz_and_back(tmp_path, tiny_model, timm_arrays, flax_arrays):
    state_dict = timm_arrays(tiny_model)
    save_file(state_dict, tmp_path / "timm.safetensors")
    convert(tmp_path / "timm.safetensors", tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert sorted(file.files) == sorted(flax_arrays(tiny_model))
    convert(tmp_path / "model.npz", tmp_path / "back.safetensors")
    back = load_file(tmp_path / "back.safetensors")
    assert back.keys() == state_dict.keys()
    for name, array in state_dict.items():
        np.testing.assert_array_equal(back[name], array)


def test_converted_checkpoint_loads(tmp_path, make_tiny, timm_arrays, assert_same_weights):
    model, other = make_tiny(0), make_tiny(1)
    save_file(timm_arrays(model), tmp_path / "timm.safetensors")
    convert(tmp_path / "timm.safetensors", tmp_path / "model.npz")
    mixer_tf.load_weights(other, tmp_path / "model.npz")
    assert_same_weights(model, other)


def test_other_checkpoints_than_mixers_are_refused(tmp_path):
    np.savez(tmp_path / "vit.npz", **{"Transformer/encoder_norm/bias": np.zeros(3)})
    with pytest.raises(ValueError, match="must be a Mixer checkpoint; it holds Transformer/"):
        convert(tmp_path / "vit.npz", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_target_with_an_unknown_extension_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .npz or .safetensors; got .*out.pth"):
        convert(tmp_path / "a.npz", tmp_path / "out.pth")


_KILLED = """
import os, signal, sys
from mixer_tf.checkpoints import convert

os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
convert(*sys.argv[1:])
"""


@pytest.mark.parametrize("extension", ["npz", "safetensors"])
def test_what_a_killed_conversion_has_left_is_gone_after_the_next_one(
    tmp_path, tiny_model, timm_arrays, extension
):
    source, target = tmp_path / "timm.safetensors", tmp_path / "out" / f"model.{extension}"
    save_file(timm_arrays(tiny_model), source)
    target.parent.mkdir()
    command = [sys.executable, "-c", _KILLED, str(source), str(target)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert [path.name for path in target.parent.iterdir()] == [f"partial-{target.name}"]
    convert(source, target)
    assert list(target.parent.iterdir()) == [target]
