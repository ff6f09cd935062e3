# SPDX-License-Identifier: Apache-2.0
"""The folders of a folder source; each is listed once, when it is first asked for.

No TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator

from mixer_tf.datasets import files
from mixer_tf.datasets.class_names import normalize

# Thumbnails of network drives, leftovers of archives, recycle bins: never classes.
_FOLDERS_OF_PROGRAMS = frozenset(
    [
        *("@eadir", "__macosx", "lost+found", "__pycache__", "$recycle.bin"),
        *("system volume information", "#recycle", "@recycle", "@recently-snapshot", "#snapshot"),
    ]
)


@dataclasses.dataclass(frozen=True)
class _Content:
    """The entries of one folder.

    Attributes:
        folders: subfolders, without those of other programs.
        images: names of the image files.
        num_unnamed: how many of them were recognized by their first bytes.
        others: names of the files that are not images.
        of_programs: names of subfolders that other programs left.
    """

    folders: tuple[Folder, ...] = ()
    images: tuple[str, ...] = ()
    num_unnamed: int = 0
    others: tuple[str, ...] = ()
    of_programs: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder below the root of a source.

    Attributes:
        root: the root of the source.
        path: path relative to the root; "" for the root itself.
        above: the real paths of the folders above; a link to one of them counts as empty.
    """

    root: str
    path: str = ""
    above: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    @property
    def full_path(self) -> str:
        return os.path.join(self.root, self.path) if self.path else self.root

    @property
    def stored_name(self) -> str:
        """The name as valid Unicode; different names stay different."""
        name = os.path.basename(self.path).encode("utf-8", "surrogateescape")
        return name.decode("utf-8", "backslashreplace")

    @functools.cached_property
    def name(self) -> str:
        """The name as valid Unicode in form NFC."""
        return normalize(self.stored_name)

    @property
    def folders(self) -> tuple[Folder, ...]:
        return self.content.folders

    @property
    def images(self) -> tuple[str, ...]:
        return self.content.images

    @functools.cached_property
    def content(self) -> _Content:
        """The entries of the folder; none for a link to a folder above."""
        real_path = os.path.realpath(self.full_path)
        if real_path in self.above:
            return _Content()
        folders, names = files.list_folder(self.full_path)
        of_programs = tuple(name for name in folders if name.lower() in _FOLDERS_OF_PROGRAMS)
        above = (*self.above, real_path)
        below = [
            Folder(self.root, os.path.join(self.path, name), above)
            for name in folders
            if name not in of_programs
        ]
        by_name = [name for name in names if files.is_image_name(name)]
        rest = [] if len(by_name) == len(names) else sorted({*names}.difference(by_name))
        by_content = [
            name
            for name in rest
            if files.has_unknown_suffix(name)
            and files.starts_like_image(os.path.join(self.full_path, name))
        ]
        return _Content(
            tuple(below),
            (*by_name, *by_content),
            len(by_content),
            tuple(sorted(set(rest).difference(by_content))),
            of_programs,
        )

    @functools.cached_property
    def has_images(self) -> bool:
        """Whether there is an image in this folder or below it."""
        return bool(self.images) or any(folder.has_images for folder in self.folders)

    @functools.cached_property
    def filled(self) -> tuple[Folder, ...]:
        """The subfolders that have images in them or below them."""
        return tuple(folder for folder in self.folders if folder.has_images)

    @property
    def holds_folders_only(self) -> bool:
        """Whether all images are in subfolders."""
        return not self.images and bool(self.filled)

    @property
    def subfolder_names(self) -> frozenset[str]:
        """The names of the subfolders that have images."""
        return frozenset(folder.name for folder in self.filled)

    def walk(self) -> Iterator[Folder]:
        """Yields this folder and all folders below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def image_paths(self) -> Iterator[str]:
        """Yields the path, relative to the root, of each image in this folder or below it."""
        for folder in self.walk():
            for name in folder.images:
                yield os.path.join(folder.path, name)

    def count_images(self) -> int:
        """Returns the number of images in this folder and below it."""
        return sum(len(folder.images) for folder in self.walk())
