# SPDX-License-Identifier: Apache-2.0
"""Seeded mutations of each checkpoint format, read in a child process."""

import pathlib

import mutations
import numpy as np
import pytest
from safetensors.numpy import load_file

TESTS = pathlib.Path(__file__).parents[1]
GOLDEN = TESTS / "golden" / "timm"
FILES = ("mixer.npz", "mixer.safetensors", "mixer_zip.pth", "mixer_sequence.pth")


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_read_or_is_one_clear_error(tmp_path, name, count):
    path = GOLDEN / name
    if name == "mixer.npz":
        path = tmp_path / name
        np.savez(path, **load_file(GOLDEN / "mixer.safetensors"))
    script = str(TESTS / "mutated" / "read_checkpoints.py")
    mutations.run(script, path, tmp_path / "mutated", count).require_none()
