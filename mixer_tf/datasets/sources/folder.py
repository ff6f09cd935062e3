# SPDX-License-Identifier: Apache-2.0
"""A folder of images: one subfolder per class, with or without train/val/test above them."""

from __future__ import annotations

import collections
import operator
import os
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.datasets import files, splits
from mixer_tf.datasets.class_names import in_order, notes_of_unicode_forms
from mixer_tf.datasets.sources.folder_layout import find_layout
from mixer_tf.datasets.sources.folder_tree import Folder
from mixer_tf.datasets.sources.source import Source
from mixer_tf.messages import printable

KIND = "folder"
FORM = "folder:PATH"
HELP = "one subfolder per class, with or without train/, val/ and test/ above them"

_MAX_SUFFIXES = 5


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Lists the files of a folder; no image is read yet.

    Images without a known suffix are recognized by their first bytes. A class is the name of its
    folder in Unicode's form NFC; the order of the labels is that of `class_names.in_order`.

    Raises:
        ValueError: the folder does not exist, its class folders have no images, or its folders may
            be splits as well as classes.
    """
    root = os.path.expanduser(location)
    if not storage.is_folder(root):
        raise ValueError(f"folder: must be followed by an existing folder; got {location!r}.")
    top = Folder(root)
    if not top.filled:
        raise ValueError(_nothing_found(top))
    layout = find_layout(top)
    class_names = in_order(folder.name for _, folder in _class_folders(layout.splits))
    labels = {name: label for label, name in enumerate(class_names)}
    items = [
        (split, path.replace(os.sep, "/"), (path, label))
        for split, folder in _class_folders(layout.splits)
        for label in [labels[folder.name]]
        for path in folder.image_paths()
    ]
    reader = files.FileReader(root, class_names)
    return Source(
        spec=spec,
        class_names=class_names,
        shards={
            split: files.make_chunks(chosen)
            for split, chosen in splits.assign_splits(
                items, label_of=operator.itemgetter(1)
            ).items()
        },
        reader=reader,
        root=root,
        image_ids=reader.image_ids,
        file_signatures=lambda: (
            files.file_signature(os.path.join(root, path)) for _, _, (path, _) in items
        ),
        notes=(*layout.notes, *_notes(top, layout.splits)),
    )


def _class_folders(parents: dict[str, Folder]) -> Iterator[tuple[str, Folder]]:
    """(split, folder) of each class folder that has images."""
    for split, parent in parents.items():
        for folder in parent.filled:
            yield split, folder


def _notes(top: Folder, parents: dict[str, Folder]) -> list[str]:
    """One line for each kind of file or folder that is not what it seems."""
    listed = [top, *(folder for folder in parents.values() if folder is not top)]
    below = [folder for parent in parents.values() for folder in _below(parent)]
    all_folders = [*listed, *below]
    of_programs = collections.Counter(
        name for folder in all_folders for name in folder.content.of_programs
    )
    programs = ", ".join(sorted(of_programs))
    others = [name for folder in below for name in folder.content.others]
    counts = {
        f"files that are not images were ignored ({_suffixes(others)})": len(others),
        "images outside the class folders were ignored": sum(len(f.images) for f in listed),
        f"folders of other programs were ignored ({programs})": sum(of_programs.values()),
        "images without a known suffix were recognized by their first bytes": sum(
            f.content.num_unnamed for f in below
        ),
    }
    return [
        *_notes_of_empty_classes(parents),
        *notes_of_unicode_forms(folder.stored_name for _, folder in _class_folders(parents)),
        *(f"{text}: {count:,}" for text, count in counts.items() if count),
    ]


def _below(parent: Folder) -> Iterator[Folder]:
    for folder in parent.folders:
        yield from folder.walk()


def _suffixes(names: list[str]) -> str:
    """The most frequent suffixes, so that raw photographs are seen among files of no importance."""
    found = collections.Counter(os.path.splitext(name)[1].lower() or "no suffix" for name in names)
    shown = [printable(suffix) for suffix, _ in found.most_common(_MAX_SUFFIXES)]
    return ", ".join(shown) + (", …" if len(found) > _MAX_SUFFIXES else "")


def _notes_of_empty_classes(parents: dict[str, Folder]) -> list[str]:
    """Folders without images; a class may be empty in one split as long as another has it."""
    filled = {folder.name for _, folder in _class_folders(parents)}
    num_files = collections.Counter()
    for parent in parents.values():
        for folder in parent.folders:
            if folder.name not in filled:
                num_files[folder.name] += sum(len(f.content.others) for f in folder.walk())
    return [
        f"class folder '{name}' has no images, only {number:,} other files: ignored"
        if number
        else f"class folder '{name}' is empty: ignored"
        for name, number in sorted(num_files.items())
    ]


def _nothing_found(top: Folder) -> str:
    return (
        f"a folder source must contain one subfolder of images per class; got {top.full_path} with "
        f"{len(top.folders)} subfolders, no image in them, and {len(top.images)} images beside "
        "them. Arrange it as PATH/cat/1.jpg, PATH/dog/2.jpg, …"
    )
