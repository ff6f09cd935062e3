# SPDX-License-Identifier: Apache-2.0
import os
import shutil

import pytest

from mixer_tf.datasets.sources import opening


def parse(path) -> opening.Source:
    return opening.open_source(f"folder:{path}")


def read(source: opening.Source) -> dict[str, dict[str, str]]:
    """Split → path → class name."""
    return {
        split: {
            record.source: record.class_name
            for entry in source.shards_of(split)
            for record in source.read(entry)
        }
        for split in source.splits
    }


def count(source: opening.Source) -> dict[str, int]:
    return {split: len(found) for split, found in read(source).items()}


def test_class_folders_without_splits_are_parted(image_folder):
    source = parse(image_folder)
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
    assert count(parse(tmp_path)) == {"train": 10, "eval": 12, "test": 14}


def test_a_missing_split_is_held_out_of_train(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "train", per_class=100)
    write_image_folder(tmp_path / "test", per_class=3)
    counts = count(parse(tmp_path))
    assert counts["test"] == 6
    assert counts["train"] + counts["eval"] == 200
    assert 8 < counts["eval"] < 36


def test_classes_are_the_union_over_splits(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "train", classes=("b", "c"))
    write_image_folder(tmp_path / "test", classes=("a", "c"))
    assert parse(tmp_path).class_names == ("a", "b", "c")


def test_a_folder_with_test_images_only_has_one_split(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "test", per_class=3)
    assert count(parse(tmp_path)) == {"test": 6}


def test_classes_may_be_called_like_splits(tmp_path, write_image_folder):
    write_image_folder(tmp_path, classes=("test", "train"))
    assert parse(tmp_path).class_names == ("test", "train")


def test_two_folders_for_one_split_are_an_error(tmp_path, write_image_folder):
    for name in ("train", "val", "valid"):
        write_image_folder(tmp_path / name, per_class=3)
    with pytest.raises(ValueError, match="each split must have one folder; got train, val, valid"):
        parse(tmp_path)


def test_nothing_is_left_out_silently(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "train")
    (tmp_path / "train/empty").mkdir()
    (tmp_path / "train/cat/notes.txt").write_text("no image")
    (tmp_path / "train/cat/.hidden.png").write_text("hidden")
    shutil.copy(tmp_path / "train/cat/000.png", tmp_path / "train/loose.png")
    write_image_folder(tmp_path / "unsorted", per_class=1)
    assert parse(tmp_path).notes == (
        "folder 'unsorted' is not a split: left out",
        "class folder 'empty' is empty: left out",
        "files that are not images by name were ignored: 1",
        "images outside the class folders were ignored: 1",
    )


def test_folders_inside_a_class_are_read(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    write_image_folder(tmp_path / "cat", classes=("2023", "2024"), per_class=5)
    source = parse(tmp_path)
    assert source.class_names == ("cat", "dog")
    assert sum(count(source).values()) == 50


def test_links_are_followed_and_circles_end(tmp_path, write_image_folder):
    write_image_folder(tmp_path / "real", classes=("dog",))
    write_image_folder(tmp_path / "data", classes=("cat",))
    (tmp_path / "data/dog").symlink_to(tmp_path / "real/dog")
    (tmp_path / "data/cat/again").symlink_to(tmp_path / "data/cat")
    source = parse(tmp_path / "data")
    assert source.class_names == ("cat", "dog")
    assert sum(count(source).values()) == 40


def test_names_that_are_no_unicode_are_read(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    raw = os.path.join(os.fsencode(tmp_path), b"f\xff")
    shutil.copytree(os.fsencode(tmp_path / "cat"), raw)
    source = parse(tmp_path)
    assert source.class_names == ("cat", "dog", "f\N{REPLACEMENT CHARACTER}")
    assert sum(count(source).values()) == 60
    assert source.fingerprint()


def test_one_class_is_a_source(one_class_folder):
    assert parse(one_class_folder).class_names == ("only",)


def test_the_fingerprint_follows_the_files(tmp_path, write_image_folder):
    write_image_folder(tmp_path)
    first = parse(tmp_path).fingerprint()
    assert parse(tmp_path).fingerprint() == first
    (tmp_path / "cat/000.png").unlink()
    second = parse(tmp_path).fingerprint()
    os.utime(tmp_path / "cat/001.png", (1, 1))
    assert len({first, second, parse(tmp_path).fingerprint()}) == 3


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path / "none", "must be followed by an existing folder; got '/"),
        (lambda path: path, "0 sub-folders, no image in them, and 0 images beside them"),
        (lambda path: (path / "cat").mkdir() or path, "1 sub-folders, no image in them"),
        (lambda path: (path / "a.jpg").write_bytes(b"x") and path, "and 1 images beside them"),
    ],
)
def test_a_folder_without_classes_is_an_error(tmp_path, prepare, message):
    with pytest.raises(ValueError, match=message):
        parse(prepare(tmp_path))


def test_a_bucket_path_is_listed(tmp_path, write_image_folder):
    import tensorflow as tf

    write_image_folder(tmp_path, per_class=5)
    for file in tmp_path.glob("*/*.png"):
        target = f"ram://photos/{file.parent.name}"
        tf.io.gfile.makedirs(target)
        tf.io.gfile.copy(str(file), f"{target}/{file.name}", overwrite=True)
    source = parse("ram://photos")
    assert source.class_names == ("cat", "dog")
    assert sum(count(source).values()) == 10
