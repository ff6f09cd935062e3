# SPDX-License-Identifier: Apache-2.0
"""Decides which folders of a folder source are splits and which are classes.

A layout that can be read in two ways is refused: if splits become classes, the model learns to tell
training images from test images. No TensorFlow.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable, Sequence

from mixer_tf.datasets import splits
from mixer_tf.datasets.sources.folder_tree import Folder
from mixer_tf.features import SPLITS, TRAIN

_DATE = re.compile(r"(19|20)[0-9]{2}([-_. ]?[0-9]{2}){0,2}")
_MAX_NAMES = 4


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the class folders are.

    Attributes:
        splits: split → the folder that contains its class folders; the only key is "" if the images
            are not split.
        notes: what a user should know about the choice.
    """

    splits: dict[str, Folder]
    notes: tuple[str, ...] = ()


def find_layout(root: Folder) -> Layout:
    """Finds the folders that contain the class folders; the root has images somewhere below it.

    Raises:
        ValueError: it is not clear what are the splits and what are the classes.
    """
    by_split = _find_splits(root)
    if not by_split:
        _require_no_wrapper(root)
        _require_no_splits_below(root)
        return Layout({"": root}, _notes_of_classes(root) + _notes_of_class_names([root]))
    notes = [
        f"folder '{folder.name}' is read as the split {split}"
        for split, folder in by_split.items()
        if not splits.is_split_name(folder.name)
    ]
    notes += _notes_of_unused(root, by_split)
    parents = {}
    for split, folder in by_split.items():
        parents[split] = _class_parent(folder)
        if parents[split] is not folder:
            notes.append(f"the class folders of {split} are in '{parents[split].path}'")
    _require_training_classes(root, parents)
    notes += _remove_unrelated(parents)
    notes += _notes_of_class_names(parents.values())
    return Layout(parents, tuple(notes))


def _find_splits(root: Folder) -> dict[str, Folder]:
    """Split → its folder; empty if the folders are classes."""
    named = _named_like_splits(root)
    with_classes = [(split, folder) for split, folder in named if folder.filled]
    if not with_classes:
        _require_class_folders(root, named)
        return {}
    _require_certain_splits(root, named)
    _require_filled_train(root)
    _require_one_folder_per_split(root, with_classes)
    by_split = dict(with_classes)
    return {split: by_split[split] for split in SPLITS if split in by_split}


def _named_like_splits(root: Folder) -> list[tuple[str, Folder]]:
    """(split, folder) of each folder with images whose name is that of a split.

    A name that only contains the word of a split, as "seg_train", is one if no other folder is
    named like that split, and it has nothing but folders, with the same names as those of another.
    """
    words = [(splits.split_within(folder.name), folder) for folder in root.filled]
    words = [(split, folder) for split, folder in words if split]
    named = [(split, folder) for split, folder in words if splits.split_named(folder.name)]
    found = {split for split, _ in named}
    return named + [
        (split, folder)
        for split, folder in words
        if split not in found
        and folder.holds_folders_only
        and any(other != split and _have_common_classes(folder, it) for other, it in words)
    ]


def _have_common_classes(folder: Folder, other: Folder) -> bool:
    names, other_names = (_class_parent(each).subfolder_names for each in (folder, other))
    return bool(names & other_names)


def _class_parent(folder: Folder) -> Folder:
    """The folder that has the class folders: also "train/train" and "train/images"."""
    if folder.images or len(folder.filled) != 1:
        return folder
    (inner,) = folder.filled
    is_wrapper = inner.name.lower() == folder.name.lower() or splits.is_filler(inner.name)
    return inner if is_wrapper and inner.holds_folders_only else folder


def _require_class_folders(root: Folder, named: Sequence[tuple[str, Folder]]) -> None:
    """Refuses train/1.jpg, test/2.jpg: images of splits without their class."""
    found = {split for split, _ in named}
    if named and (len(named) == len(root.filled) or (TRAIN in found and len(found) > 1)):
        raise ValueError(
            f"a split folder must contain one subfolder per class; {_names(f for _, f in named)} "
            f"in {root.full_path} contain images without a class. Arrange them as "
            "PATH/train/cat/1.jpg, …, or list them with their labels: csv:PATH. If these are "
            "names of classes, rename the folders."
        )


def _require_certain_splits(root: Folder, named: Sequence[tuple[str, Folder]]) -> None:
    """Refuses train/steam beside bus/1.jpg, where "train" may be a split or a class."""
    folders = [folder for _, folder in named]
    others = [folder for folder in root.filled if folder not in folders]
    train = [folder for split, folder in named if split == TRAIN]
    is_certain = bool(train) and (
        len({split for split, _ in named}) > 1
        or all(_have_common_classes(train[0], other) for other in others)
    )
    if others and not is_certain:
        raise ValueError(
            f"the folders must be either splits or classes; in {root.full_path}, "
            f"{_names(folders)} may be a split, and {_names(others)} may be classes. "
            "If they are splits, name them train, val and test, and move other folders away; "
            "if they are classes, rename the first, or list the images: csv:PATH."
        )


def _require_filled_train(root: Folder) -> None:
    empty = [f for f in root.folders if splits.split_named(f.name) == TRAIN and not f.has_images]
    filled = [f for f in root.filled if splits.split_within(f.name) == TRAIN]
    if empty and not filled:
        raise ValueError(
            f"the folder of the training images must contain images; {empty[0].full_path} has "
            "none. Fill it; to evaluate a model on the other splits, remove it."
        )


def _require_one_folder_per_split(root: Folder, named: Sequence[tuple[str, Folder]]) -> None:
    if len({split for split, _ in named}) < len(named):
        raise ValueError(
            f"each split must have one folder; got {', '.join(f.name for _, f in named)} in "
            f"{root.full_path}. Rename or remove one of those with the same meaning."
        )


def _require_training_classes(root: Folder, parents: dict[str, Folder]) -> None:
    """Refuses train/1.jpg beside test/cat/2.jpg, and train/pets/cat/1.jpg."""
    without = [f for f in root.filled if splits.split_named(f.name) == TRAIN and not f.filled]
    if TRAIN not in parents and without:
        raise ValueError(
            "the folder of the training images must contain one subfolder per class; "
            f"{without[0].full_path} contains images without a class. Arrange them as "
            "PATH/train/cat/1.jpg, …, or list them with their labels: csv:PATH."
        )
    if TRAIN in parents:
        _require_no_wrapper(parents[TRAIN])


def _notes_of_classes(root: Folder) -> tuple[str, ...]:
    """Refuses folders that look like splits of another name: a/cat, a/dog, b/cat, b/dog."""
    nested = [folder for folder in root.filled if folder.holds_folders_only]
    found = collections.Counter(name for folder in nested for name in folder.subfolder_names)
    repeated = {name for name, count in found.items() if count > 1 and 2 * count >= len(nested)}
    dates = {name for name in repeated if _DATE.fullmatch(name)}
    if len(repeated - dates) > 1:
        raise ValueError(
            f"the folders must be either splits or classes; in {root.full_path}, "
            f"{_names(nested)} contain the same subfolders {_quoted(repeated)}. If these are the "
            "classes, name the folders above them train, val and test; if the folders above are "
            "the classes, move the images up, or list them with label and split: csv:PATH."
        )
    if repeated:
        text = (
            "class folders have subfolders of the same name, which were read as parts of the class"
        )
        return (f"{text}: {len(nested):,} ({_quoted(repeated)})",)
    return ()


def _require_no_splits_below(root: Folder) -> None:
    """Refuses cat/train, cat/test: splits below the classes, or two datasets beside each other."""
    for folder in root.filled:
        if folder.holds_folders_only and all(map(splits.split_named, folder.subfolder_names)):
            raise ValueError(
                f"splits must be above the classes, as in PATH/train/cat/1.jpg; "
                f"{folder.full_path} contains {_names(folder.filled)}. Move them, use one folder "
                "alone, or list the images with label and split: csv:PATH."
            )


def _notes_of_class_names(parents: Iterable[Folder]) -> tuple[str, ...]:
    """Notes of classes with a name such as "test" or "images", which may not be meant as one."""
    names = {name for parent in parents for name in parent.subfolder_names}
    names = {name for name in names if splits.split_named(name) or splits.is_filler(name)}
    text = "class folders have names that are not usual for classes"
    return (f"{text}: {len(names):,} ({_quoted(names)})",) if names else ()


def _require_no_wrapper(folder: Folder) -> None:
    """Refuses pets/pets/cat/1.jpg: one folder whose subfolders are the classes or splits."""
    inner = folder
    while len(inner.filled) == 1 and inner.filled[0].holds_folders_only:
        (inner,) = inner.filled
    if inner is folder or len(inner.filled) < 2:
        return
    advice = "Move these up." if folder.path else f"Use folder:{inner.full_path}"
    raise ValueError(
        f"{folder.full_path} must contain one subfolder of images per class; the only one with "
        f"images is {inner.full_path}, which contains {_names(inner.filled)}. {advice}"
    )


def _notes_of_unused(root: Folder, by_split: dict[str, Folder]) -> list[str]:
    notes = []
    for folder in root.folders:
        if folder in by_split.values():
            continue
        if not splits.split_named(folder.name):
            notes.append(f"folder '{folder.name}' is not a split: ignored")
        elif folder.has_images:
            notes.append(
                f"split folder '{folder.name}' has no class folders: its {folder.count_images():,} "
                "images have no label and were ignored"
            )
        else:
            notes.append(f"split folder '{folder.name}' is empty: ignored")
    return notes


def _remove_unrelated(parents: dict[str, Folder]) -> list[str]:
    """Removes splits such as test/unknown, none of whose folders is a class of train."""
    if TRAIN not in parents:
        return []
    classes = parents[TRAIN].subfolder_names
    notes = []
    for split, folder in list(parents.items()):
        if not folder.subfolder_names & classes:
            del parents[split]
            notes.append(
                f"split folder '{folder.path}' has no class of train, only "
                f"{_quoted(folder.subfolder_names)}: its {folder.count_images():,} images were "
                "ignored"
            )
    return notes


def _names(folders: Iterable[Folder]) -> str:
    return _quoted(folder.name for folder in folders)


def _quoted(names: Iterable[str]) -> str:
    names = sorted(names)
    shown = ", ".join(f"'{name}'" for name in names[:_MAX_NAMES])
    return f"{shown}, …" if len(names) > _MAX_NAMES else shown
