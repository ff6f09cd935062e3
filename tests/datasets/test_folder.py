# SPDX-License-Identifier: Apache-2.0
import os
import shutil

import pytest

from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources.source import Source


def open_folder(path) -> Source:
    return opening.open_source(f"folder:{path}")


def read(source: Source) -> dict[str, dict[str, str]]:
    """Split → path → class name."""
    return {
        split: {
            record.source: record.class_name
            for shard in source.shards_of(split)
            for record in source.read(shard)
        }
        for split in source.splits
    }


def count(source: Source) -> dict[str, int]:
    return {split: len(found) for split, found in read(source).items()}


def test_class_folders_without_splits_are_split(image_folder):
    source = open_folder(image_folder)
    assert source.class_names == ("cat", "dog")
    assert source.splits == ("train", "eval", "test")
    assert sum(count(source).values()) == 40
    assert source.notes == ()
    for found in read(source).values():
        for path, class_name in found.items():
            assert os.path.basename(os.path.dirname(path)) == class_name


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Valid", "TESTING")])
def test_split_folders_are_kept(tmp_path, write_image_folder, names):
    for number, name in enumerate(names, start=5):
        write_image_folder(tmp_path / name, per_class=number)
    assert count(open_folder(tmp_path)) == {"train": 10, "eval": 12, "test": 14}


def test_a_missing_split_is_held_out_of_train(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "train", per_class=100)
    write_image_folder(tmp_path / "test", per_class=3)
    counts = count(open_folder(tmp_path))
    assert counts["test"] == 6
    assert counts["train"] + counts["eval"] == 200
    assert 8 < counts["eval"] < 36


def test_classes_are_the_union_over_splits(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "train", classes=("b", "c"))
    write_image_folder(tmp_path / "test", classes=("a", "c"))
    assert open_folder(tmp_path).class_names == ("a", "b", "c")


def test_a_folder_with_test_images_only_has_one_split(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "test", per_class=3)
    assert count(open_folder(tmp_path)) == {"test": 6}


def test_classes_may_have_the_names_of_splits(tmp_path, write_image_folder):
    write_image_folder(tmp_path, classes=("bus", "train", "test tube", "dev board"))
    source = open_folder(tmp_path)
    assert source.class_names == ("bus", "dev board", "test tube", "train")
    text = "class folders have names that are not usual for classes: 1 ('train')"
    assert source.notes == (text,)


def test_two_folders_for_one_split_are_an_error(tmp_path, write_image_folder):
    for name in ("train", "val", "valid"):
        write_image_folder(tmp_path / name, per_class=3)
    with pytest.raises(ValueError, match="each split must have one folder; got train, val, valid"):
        open_folder(tmp_path)


def test_ignored_files_and_folders_are_noted(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "train")
    (tmp_path / "train/empty").mkdir()
    (tmp_path / "train/cat/notes.txt").write_text("no image")
    (tmp_path / "train/cat/.hidden.png").write_text("hidden")
    shutil.copy(tmp_path / "train/cat/000.png", tmp_path / "train/loose.png")
    write_image_folder(tmp_path / "unsorted", per_class=1)
    (tmp_path / "val").mkdir()
    assert open_folder(tmp_path).notes == (
        "folder 'unsorted' is not a split: ignored",
        "split folder 'val' is empty: ignored",
        "class folder 'empty' is empty: ignored",
        "files that are not images were ignored (.txt): 1",
        "images outside the class folders were ignored: 1",
    )


def test_folders_inside_a_class_folder_are_read(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    write_image_folder(tmp_path / "cat", classes=("2023", "2024"), per_class=5)
    source = open_folder(tmp_path)
    assert source.class_names == ("cat", "dog")
    assert sum(count(source).values()) == 50


def test_links_are_followed_unless_they_form_a_cycle(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "real", classes=("dog",))
    write_image_folder(tmp_path / "data", classes=("cat",))
    (tmp_path / "data/dog").symlink_to(tmp_path / "real/dog")
    (tmp_path / "data/cat/again").symlink_to(tmp_path / "data/cat")
    source = open_folder(tmp_path / "data")
    assert source.class_names == ("cat", "dog")
    assert sum(count(source).values()) == 40


def test_names_that_are_not_valid_unicode_are_read(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    for name in (b"t\xe8", b"t\xe9"):
        shutil.copytree(os.fsencode(tmp_path / "cat"), os.path.join(os.fsencode(tmp_path), name))
    source = open_folder(tmp_path)
    assert source.class_names == ("cat", "dog", "t\\xe8", "t\\xe9")
    assert sum(count(source).values()) == 80
    assert source.notes == ()
    assert source.fingerprint()


def test_a_source_may_have_one_class(one_class_folder):
    assert open_folder(one_class_folder).class_names == ("only",)


def test_the_fingerprint_changes_with_the_files(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    first = open_folder(tmp_path).fingerprint()
    assert open_folder(tmp_path).fingerprint() == first
    (tmp_path / "cat/000.png").unlink()
    second = open_folder(tmp_path).fingerprint()
    os.utime(tmp_path / "cat/001.png", (1, 1))
    assert len({first, second, open_folder(tmp_path).fingerprint()}) == 3


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path / "none", "must be followed by an existing folder; got '/"),
        (lambda path: path, "0 subfolders, no image in them, and 0 images beside them"),
        (lambda path: (path / "cat").mkdir() or path, "1 subfolders, no image in them"),
        (lambda path: (path / "a.jpg").write_bytes(b"x") and path, "and 1 images beside them"),
    ],
)
def test_a_folder_without_classes_is_an_error(tmp_path, prepare, message):
    with pytest.raises(ValueError, match=message):
        open_folder(prepare(tmp_path))


def test_a_remote_folder_is_listed(tmp_path, write_image_folder):
    import tensorflow as tf

    write_image_folder(tmp_path, per_class=5)
    for file in tmp_path.glob("*/*.png"):
        target = f"ram://photos/{file.parent.name}"
        tf.io.gfile.makedirs(target)
        tf.io.gfile.copy(str(file), f"{target}/{file.name}", overwrite=True)
    source = open_folder("ram://photos")
    assert source.class_names == ("cat", "dog")
    assert sum(count(source).values()) == 10
