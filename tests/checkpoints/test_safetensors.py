# SPDX-License-Identifier: Apache-2.0
"""The .safetensors format against its own library."""

import json
import pathlib
import struct

import ml_dtypes
import numpy as np
import pytest
from harness import lazy_arrays
from safetensors.numpy import load_file, save_file

from mixer_tf.checkpoints.formats.safetensors import open_safetensors, write_safetensors
from mixer_tf.checkpoints.opening import open_checkpoint

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "timm"


def test_a_file_from_torch_is_read_as_by_the_library():
    expected = load_file(GOLDEN / "mixer.safetensors")
    with open_safetensors(str(GOLDEN / "mixer.safetensors")) as opened:
        assert opened.shapes == {name: array.shape for name, array in expected.items()}
        for name, array in expected.items():
            np.testing.assert_array_equal(opened.read(name), array)


def test_bfloat16_is_read_as_float32(tmp_path):
    exact = np.random.default_rng(0).normal(size=(3, 4)).astype(ml_dtypes.bfloat16)
    save_file({"x": exact}, tmp_path / "a.safetensors")
    with open_safetensors(str(tmp_path / "a.safetensors")) as opened:
        assert opened.read("x").dtype == np.float32
        np.testing.assert_array_equal(opened.read("x"), exact.astype(np.float32))


def test_the_library_reads_what_is_written(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "head.weight": rng.normal(size=(3, 5)).astype(np.float32).T,  # not contiguous
        "head.bias": np.float32(rng.normal(size=5)),
        "empty": np.zeros((0, 2), np.float32),
        "step": np.array(7.0, np.float32),
    }
    write_safetensors(lazy_arrays(arrays), str(tmp_path / "a.safetensors"))
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_truncated_file_is_one_clear_error(tmp_path, share):
    content = (GOLDEN / "mixer.safetensors").read_bytes()
    path = tmp_path / "a.safetensors"
    path.write_bytes(content[: int(share * len(content))])
    with (
        pytest.raises(ValueError, match=f"{path} is corrupt or truncated"),
        open_safetensors(str(path)),
    ):
        pass


@pytest.mark.parametrize("length", [0x80, 0x4B50])  # begins like a pickle, like a zip file
def test_any_length_of_the_header_is_recognized(tmp_path, length):
    text = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    header = text + b" " * (length - len(text))
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + header + np.ones(1, "<f4").tobytes())
    with open_checkpoint(path) as arrays:
        assert arrays.shapes == {"a": (1,)}
