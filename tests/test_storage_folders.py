# SPDX-License-Identifier: Apache-2.0
"""Folders that appear completely or not at all."""

import os

import pytest

from mixer_tf import storage


def write_folder(path: str, name: str) -> None:
    storage.make_folder(path)
    storage.write_text(os.path.join(path, name), "content")


@pytest.mark.parametrize("trailing", ["", "/"])
def test_a_folder_replaces_an_existing_one(tmp_path, trailing):
    path = str(tmp_path / "serving" / "1")
    for name in ("old", "new"):
        with storage.replacing_folder(path + trailing) as partial:
            write_folder(partial, name)
    assert storage.list_names(path) == ["new"]
    assert storage.list_names(str(tmp_path / "serving")) == ["1"]


def test_after_an_error_the_existing_folder_stays(tmp_path):
    path = str(tmp_path / "model")
    write_folder(path, "old")
    with pytest.raises(KeyboardInterrupt), storage.replacing_folder(path) as partial:
        write_folder(partial, "new")
        raise KeyboardInterrupt
    assert storage.list_names(path) == ["old"] and storage.list_names(str(tmp_path)) == ["model"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    path = str(tmp_path / "model")
    write_folder(str(tmp_path / "partial-model"), "left")
    with storage.replacing_folder(path) as partial:
        write_folder(partial, "new")
    assert storage.list_names(path) == ["new"] and storage.list_names(str(tmp_path)) == ["model"]


def test_remote_names_have_no_slash():
    """TensorFlow's in-memory file system has the same interface as gs://."""
    write_folder("ram://storage-folders/inner", "file")
    assert storage.list_names("ram://storage-folders") == ["inner"]
