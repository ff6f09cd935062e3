# SPDX-License-Identifier: Apache-2.0
"""A folder of images: one subfolder per class, with or without train/val/test above them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.datasets import files, splits
from mixer_tf.datasets.class_names import in_order
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import SPLITS, TRAIN
from mixer_tf.messages import printable

KIND = "folder"
FORM = "folder:PATH"
HELP = "one subfolder per class, with or without train/, val/ and test/ above them"


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Lists the files of a folder; no image is read yet.

    Raises:
        ValueError: the folder does not exist, or its class folders have no images.
    """
    root = os.path.expanduser(location)
    if not storage.is_folder(root):
        raise ValueError(f"folder: must be followed by an existing folder; got {location!r}.")
    listing = _list(root)
    if not listing.paths:
        raise ValueError(_nothing_found(root))
    folders = in_order(folder for _, folder, _ in listing.paths)
    labels = {folder: label for label, folder in enumerate(folders)}
    items = [
        (split, path.replace(os.sep, "/"), (path, labels[folder]))
        for split, folder, path in listing.paths
    ]
    class_names = tuple(map(printable, folders))
    return Source(
        spec=spec,
        class_names=class_names,
        shards={
            split: files.make_chunks(chosen)
            for split, chosen in splits.assign_splits(items).items()
        },
        reader=files.FileReader(root, class_names),
        file_signatures=lambda: (
            files.file_signature(os.path.join(root, path)) for _, _, path in listing.paths
        ),
        notes=listing.notes(),
    )


@dataclasses.dataclass
class _Listing:
    """The result of a walk through the folder.

    Attributes:
        paths: (split or "", class name, path relative to the root) of each image.
        empty: names of class folders without an image.
        non_image_files: number of files whose name is not that of an image.
        images_outside_classes: number of images that are not in a class folder.
        other_folders: folders beside train/ and test/ that are not a split.
    """

    paths: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    empty: list[str] = dataclasses.field(default_factory=list)
    non_image_files: int = 0
    images_outside_classes: int = 0
    other_folders: list[str] = dataclasses.field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        notes = [
            f"folder '{printable(name)}' is not a split: ignored" for name in self.other_folders
        ]
        notes += [f"class folder '{printable(name)}' is empty: ignored" for name in self.empty]
        if self.non_image_files:
            notes.append(
                f"files that are not images by name were ignored: {self.non_image_files:,}"
            )
        if self.images_outside_classes:
            notes.append(
                f"images outside the class folders were ignored: {self.images_outside_classes:,}"
            )
        return tuple(notes)


def _list(root: str) -> _Listing:
    listing = _Listing()
    folders, _ = files.list_folder(root)
    by_split = _split_folders(root, folders)
    if not by_split:
        _list_classes(root, "", "", listing)
        return listing
    listing.other_folders = [name for name in folders if name not in by_split.values()]
    for split, name in by_split.items():
        _list_classes(root, name, split, listing)
    # A class may be empty in one split as long as another has it.
    filled = {class_name for _, class_name, _ in listing.paths}
    listing.empty = sorted({name for name in listing.empty if name not in filled})
    return listing


def _split_folders(root: str, folders: list[str]) -> dict[str, str]:
    """Split → the name of its folder; empty if the folders are classes.

    They are splits if one of them is named like train, or all of them are named like splits.
    """
    named = [(splits.ALIASES[name.lower()], name) for name in folders if _is_split(name)]
    if not any(split == TRAIN for split, _ in named) and len(named) < len(folders):
        return {}
    if any(not files.list_folder(os.path.join(root, name))[0] for _, name in named):
        return {}
    by_split = dict(named)
    if len(by_split) < len(named):
        raise ValueError(
            f"each split must have one folder; got {', '.join(name for _, name in named)} in "
            f"{root}. Rename or remove one of those with the same meaning."
        )
    return {split: by_split[split] for split in SPLITS if split in by_split}


def _is_split(name: str) -> bool:
    return name.lower() in splits.ALIASES


def _list_classes(root: str, folder: str, split: str, listing: _Listing) -> None:
    class_names, loose = files.list_folder(os.path.join(root, folder))
    listing.images_outside_classes += sum(map(files.is_image_name, loose))
    for class_name in class_names:
        before = len(listing.paths)
        for path in _walk(root, os.path.join(folder, class_name)):
            if files.is_image_name(path):
                listing.paths.append((split, class_name, path))
            else:
                listing.non_image_files += 1
        if len(listing.paths) == before:
            listing.empty.append(class_name)


def _walk(root: str, folder: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Paths, relative to `root`, of all files below `folder`; links to parents are not followed."""
    real = os.path.realpath(os.path.join(root, folder))
    if real in above:
        return
    folders, names = files.list_folder(os.path.join(root, folder))
    for name in names:
        yield os.path.join(folder, name)
    for name in folders:
        yield from _walk(root, os.path.join(folder, name), (*above, real))


def _nothing_found(root: str) -> str:
    folders, names = files.list_folder(root)
    loose = sum(map(files.is_image_name, names))
    return (
        f"a folder source must contain one subfolder of images per class; got {root} with "
        f"{len(folders)} subfolders, no image in them, and {loose} images beside them. "
        "Arrange it as PATH/cat/1.jpg, PATH/dog/2.jpg, …"
    )
