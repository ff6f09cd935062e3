# SPDX-License-Identifier: Apache-2.0
"""Folders of splits and folders of classes, in the layouts that people have."""

import re

import pytest
from PIL import Image

from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources.source import Source

CLASSES = ("cat", "dog")


def write(root, *folders: str, count: int = 4) -> None:
    """Writes `count` tiny images into each of the folders below `root`."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("L", (8, 8), number).save(root / folder / f"{number}.png")


def write_splits(root, *names: str, count: int = 4) -> None:
    """Writes folders of splits, each with the folders cat and dog."""
    write(root, *(f"{name}/{class_name}" for name in names for class_name in CLASSES), count=count)


def open_folder(root) -> Source:
    return opening.open_source(f"folder:{root}")


def paths(source: Source, split: str) -> set[str]:
    return {path for chunk in source.shards_of(split) for path in chunk.paths}


def top_folders(source: Source) -> dict[str, set[str]]:
    """Split → the names of the top folders that its images are in."""
    return {
        split: {path.partition("/")[0] for path in paths(source, split)} for split in source.splits
    }


def test_loose_test_images_are_not_a_class(tmp_path):
    write_splits(tmp_path, "train", count=20)
    write(tmp_path, "test", count=8)
    source = open_folder(tmp_path)
    assert source.class_names == CLASSES
    assert set.union(*top_folders(source).values()) == {"train"}
    assert source.splits == ("train", "eval", "test")
    assert source.notes == (
        "split folder 'test' has no class folders: its 8 images have no label and were ignored",
    )


@pytest.mark.parametrize(
    "names",
    [
        ("training_set", "test_set"),
        ("TrainingSet", "TestSet"),
        ("train_images", "test-images"),
        ("trainset", "testset"),
        ("train2017", "test2017"),
        ("seg_train", "seg_test"),
        ("pets.train", "pets.test"),
        ("train", "cleaned_test"),
    ],
)
def test_compound_names_of_splits_are_accepted_with_a_note(tmp_path, names):
    write_splits(tmp_path, *names, count=20)
    source = open_folder(tmp_path)
    assert source.class_names == CLASSES
    assert top_folders(source) == {"train": {names[0]}, "eval": {names[0]}, "test": {names[1]}}
    assert f"folder '{names[1]}' is read as the split test" in source.notes


def test_names_of_splits_in_any_case_need_no_note(tmp_path):
    write_splits(tmp_path, "Train", "TEST", "Validation")
    source = open_folder(tmp_path)
    assert source.class_names == CLASSES
    assert source.notes == ()


@pytest.mark.parametrize(
    "names",
    [("part1", "part2"), ("gallery", "query"), ("fold0", "fold1", "fold2"), ("a", "b", "c", "d")],
)
def test_unknown_folders_with_equal_subfolders_are_refused(tmp_path, names):
    write_splits(tmp_path, *names)
    with pytest.raises(ValueError, match="either splits or classes; .*'cat', 'dog'.* csv:PATH"):
        open_folder(tmp_path)


def test_a_folder_beside_unknown_splits_does_not_hide_them(tmp_path):
    write_splits(tmp_path, "part1", "part2")
    write(tmp_path, "notes/figures", "loose")
    with pytest.raises(ValueError, match="'notes', 'part1', 'part2' contain the same subfolders"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ("cat/train", "cat/test", "dog/train", "dog/test"),
        ("cat/train", "cat/test", "dog"),
        ("images/train/cat", "images/val/cat", "labels/train"),
        ("set1/train/a", "set1/train/b", "set2/train/a", "set2/train/b"),
    ],
)
def test_splits_below_the_classes_are_refused(tmp_path, folders):
    write(tmp_path, *folders)
    with pytest.raises(ValueError, match="splits must be above the classes, as in PATH/train/cat"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["cat", "dog", "test"], "1 ('test')"),
        (["images", "masks"], "1 ('images')"),
        (["train/images", "train/labels", "test/images", "test/labels"], "1 ('images')"),
    ],
)
def test_unusual_names_of_classes_are_noted(tmp_path, folders, names):
    write(tmp_path, *folders, count=20)
    text = f"class folders have names that are not usual for classes: {names}"
    assert open_folder(tmp_path).notes == (text,)


def test_equal_years_below_the_classes_are_noted(tmp_path):
    write(tmp_path, "cat/2021", "cat/2022", "dog/2021", "dog/2022", count=10)
    source = open_folder(tmp_path)
    assert source.class_names == CLASSES
    assert source.notes == (
        "class folders have subfolders of the same name, which were read as parts of the class: "
        "2 ('2021', '2022')",
    )


def test_one_folder_within_each_class_is_read(tmp_path):
    """Tiny ImageNet has train/n01443537/images/."""
    write(tmp_path, "train/n1/images", "train/n2/images", "val/images", "test/images", count=20)
    source = open_folder(tmp_path)
    assert source.class_names == ("n1", "n2")
    assert set.union(*top_folders(source).values()) == {"train"}
    assert source.notes == (
        "split folder 'val' has no class of train, only 'images': its 20 images were ignored",
        "split folder 'test' has no class of train, only 'images': its 20 images were ignored",
    )


@pytest.mark.parametrize("test_folder", ["test/unknown", "test/test", "test/Cat"])
def test_a_split_without_a_class_of_train_is_ignored(tmp_path, test_folder):
    write_splits(tmp_path, "train", count=20)
    write(tmp_path, test_folder)
    source = open_folder(tmp_path)
    assert source.class_names == CLASSES
    assert "has no class of train" in source.notes[-1] and "4 images" in source.notes[-1]


@pytest.mark.parametrize("inner", ["{}", "images"])
def test_class_folders_one_level_below_a_split_are_found(tmp_path, inner):
    names = ("seg_train", "seg_test")
    write_splits(tmp_path, *(f"{name}/{inner.format(name)}" for name in names), count=20)
    write(tmp_path, "seg_pred")
    source = open_folder(tmp_path)
    assert source.class_names == CLASSES
    assert top_folders(source)["test"] == {"seg_test"}
    assert "folder 'seg_pred' is not a split: ignored" in source.notes


@pytest.mark.parametrize(
    ("folders", "used"),
    [
        (["pets/pets/cat", "pets/pets/dog"], "pets/pets"),
        (["pets/cat", "pets/dog"], "pets"),
        (["pets/train/cat", "pets/train/dog", "pets/test/cat", "pets/test/dog"], "pets"),
        (["training 2/cat", "training 2/dog"], None),
    ],
)
def test_the_path_to_use_is_named(tmp_path, folders, used):
    write(tmp_path, *folders)
    if used is None:
        assert open_folder(tmp_path).class_names == CLASSES
        return
    with pytest.raises(ValueError, match=re.escape(f"Use folder:{tmp_path}/{used}") + "$"):
        open_folder(tmp_path)
    assert open_folder(tmp_path / used).class_names == CLASSES


def test_a_folder_between_train_and_its_classes_is_refused(tmp_path):
    write_splits(tmp_path, "train/pets", "test/pets")
    with pytest.raises(ValueError, match="train/pets, which contains 'cat', 'dog'. Move these up"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["train", "test"], "'test', 'train' in .* contain images without a class"),
        (["train_images", "test_images"], "'test_images', 'train_images' in .* without a class"),
        (["train", "test", "sample"], "'test', 'train' in .* contain images without a class"),
        (["train", "test/cat", "test/dog"], "/train contains images without a class"),
        (["train/steam", "train/diesel", "bus", "car"], "'train' may be a split, and 'bus', 'car'"),
        (["train/steam", "train/diesel", "bus/a", "bus/b"], "'train' may be a split, and 'bus'"),
        (["test/cat", "test/dog", "cat", "dog"], "'test' may be a split, and 'cat', 'dog'"),
        (["train/cat", "trainset/cat"], "one folder; got train, trainset"),
    ],
)
def test_folders_that_may_be_splits_or_classes_are_refused(tmp_path, folders, message):
    write(tmp_path, *folders)
    with pytest.raises(ValueError, match=message):
        open_folder(tmp_path)


def test_an_empty_folder_of_training_images_is_an_error(tmp_path):
    write_splits(tmp_path, "test")
    (tmp_path / "train/cat").mkdir(parents=True)
    with pytest.raises(ValueError, match="/train has none"):
        open_folder(tmp_path)


def test_a_folder_that_only_extends_train_is_not_a_split(tmp_path):
    write_splits(tmp_path, "train", "train_noisy", "test", count=20)
    source = open_folder(tmp_path)
    assert top_folders(source)["train"] == {"train"}
    assert source.notes == ("folder 'train_noisy' is not a split: ignored",)
