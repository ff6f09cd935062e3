# SPDX-License-Identifier: Apache-2.0
"""Errors for paths that are not checkpoints."""

import os
import zipfile

import pytest

from mixer_tf.checkpoints.opening import open_checkpoint


def message(path, error=ValueError) -> str:
    with pytest.raises(error) as raised, open_checkpoint(path):
        pass
    return str(raised.value)


def test_missing_file(tmp_path):
    path = tmp_path / "no.npz"
    assert message(path, FileNotFoundError) == f"there is no checkpoint at {path}."


def test_the_name_of_a_published_checkpoint_is_not_a_path():
    assert message("mixer_b16_sam", FileNotFoundError) == (
        "a checkpoint must be a path; mixer_b16_sam is the name of a published one. "
        "mixer_tf.checkpoints.fetch('mixer_b16_sam') downloads it and returns its path."
    )


def test_files_in_other_formats(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("model.keras", "model.h5", "empty.npz"):
        assert "a checkpoint must be an .npz file from the authors, a .safetensors or" in message(
            tmp_path / name
        )


def test_a_folder_without_a_model(tmp_path):
    assert "must hold saved_model.pb" in message(tmp_path)


def test_truncated_npz(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and no more")
    path = tmp_path / "a.npz"
    expected = f"{path} is corrupt or truncated: File is not a zip file; download it again."
    assert message(path) == expected


def test_a_device_or_a_named_pipe_is_refused_at_once(tmp_path):
    pipe = tmp_path / "a.npz"
    os.mkfifo(pipe)
    for path in ("/dev/zero", pipe):
        with pytest.raises(ValueError, match="is not a regular file"), open_checkpoint(path):
            pass
