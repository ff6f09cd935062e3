# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from mixer_tf.datasets import files


def test_a_missing_file_is_a_problem(tmp_path):
    record = files.read_image(str(tmp_path / "none.jpg"), 1, "cat")
    assert (record.problem, record.label, record.class_name) == ("file not found", 1, "cat")


def test_a_folder_named_like_an_image_is_a_problem(tmp_path):
    (tmp_path / "odd.jpg").mkdir()
    assert "directory" in files.read_image(str(tmp_path / "odd.jpg"), 1, "cat").problem


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (str(tmp_path / "pipe.jpg"), "/dev/zero"):
        record = files.read_image(path, 1, "cat")
        assert record.problem == "cannot be read: not a regular file"


def test_a_file_above_the_size_limit_is_not_read(tmp_path):
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)
    record = files.read_image(str(path), 1, "cat")
    assert record.problem == "cannot be read: 256 MB; at most 256 MB"
    assert record.encoded == b""


def test_the_signature_changes_with_size_and_modification_time(tmp_path):
    path = tmp_path / "a.txt"
    assert files.file_signature(str(path)).endswith("\t-1")
    path.write_text("1")
    first = files.file_signature(str(path))
    os.utime(path, (1, 1))
    second = files.file_signature(str(path))
    path.write_text("12")
    os.utime(path, (1, 1))
    assert len({first, second, files.file_signature(str(path))}) == 3


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "b.c.PnG", "x.jfif", "x.webp", "x.TIF"])
def test_image_file_names(name):
    assert files.is_image_name(name)


@pytest.mark.parametrize("name", ["notes.txt", "jpg", "a.jpg.part", "Thumbs.db", "a"])
def test_other_file_names(name):
    assert not files.is_image_name(name)


@pytest.mark.parametrize("name", ["a", "IMG_1.jpg_large", "photo.2024-05-01", "1.xyz"])
def test_names_that_say_nothing(name):
    assert files.has_unknown_suffix(name)


@pytest.mark.parametrize("name", ["a.png", "a.txt", "a.JSON", "a.jpg.part", "a.jpg~", "a.nef"])
def test_names_that_say_enough(name):
    assert not files.has_unknown_suffix(name)


def test_an_image_is_recognized_by_its_first_bytes(tmp_path, write_image_folder):
    write_image_folder(tmp_path, per_class=1)
    assert files.starts_like_image(str(tmp_path / "cat/000.png"))
    (tmp_path / "text").write_text("some text")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("text", "link", "pipe", "cat", "none"):
        assert not files.starts_like_image(str(tmp_path / name))


def test_a_remote_folder_is_read_like_a_local_one(tmp_path, write_image_folder):
    """TensorFlow's in-memory file system has the same interface as gs://."""
    import tensorflow as tf

    write_image_folder(tmp_path, per_class=2)
    tf.io.gfile.makedirs("ram://bucket/cat")
    tf.io.gfile.copy(str(tmp_path / "cat/000.png"), "ram://bucket/cat/000.png", overwrite=True)
    assert files.list_folder("ram://bucket") == (["cat"], [])
    assert files.list_folder("ram://bucket/cat") == ([], ["000.png"])
    assert files.read_image("ram://bucket/cat/000.png", 0, "cat").width == 16
    assert files.read_image("ram://bucket/cat/none.png", 0, "cat").problem == "file not found"
    assert not files.file_signature("ram://bucket/cat/000.png").endswith("\t-1")
    assert files.file_signature("ram://bucket/cat/none.png").endswith("\t-1")
