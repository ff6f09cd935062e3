# SPDX-License-Identifier: Apache-2.0
"""The images that a user names: files, and folders with all images in them and below.

No TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from mixer_tf import storage
from mixer_tf.datasets.class_names import sort_key
from mixer_tf.datasets.sources.folder_tree import Folder


@dataclasses.dataclass
class ImagePaths:
    """The images that were found.

    Attributes:
        images: paths of the images; those of a folder in natural order, 2.jpg before 10.jpg.
        problems: path of a folder → why it gives no image.
        others: paths of files in the folders that are not images, and of folders that other
            programs left, such as the thumbnails of a network drive; hidden ones are left out.
    """

    images: list[str] = dataclasses.field(default_factory=list)
    problems: dict[str, str] = dataclasses.field(default_factory=dict)
    others: list[str] = dataclasses.field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        """Returns a note if something in the folders was ignored."""
        if not self.others:
            return ()
        text = "files and folders that are not images were ignored"
        return (f"{text}: {len(self.others):,}, such as {self.others[0]}",)


def find_images(paths: Iterable[str]) -> ImagePaths:
    """Lists the images in each folder and below it; a path that is not a folder is an image.

    An image is recognized as in a folder source: by its suffix, or by its first bytes if the suffix
    is unknown. Of links to a folder above, none is followed.

    Args:
        paths: paths of image files and folders, local or remote.
    """
    found = ImagePaths()
    for path in paths:
        if not storage.is_folder(path):
            found.images.append(path)
            continue
        before = len(found.images), len(found.problems)
        _add(Folder(path), found)
        if before == (len(found.images), len(found.problems)):
            found.problems[path] = "a folder without images"
    return found


def _add(folder: Folder, found: ImagePaths) -> None:
    try:
        content = folder.content
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        found.problems[folder.full_path] = f"a folder that cannot be listed: {reason}"
        return
    below = {os.path.basename(inner.path): inner for inner in content.folders}
    for name in sorted([*content.images, *below], key=sort_key):
        if name in below:
            _add(below[name], found)
        else:
            found.images.append(os.path.join(folder.full_path, name))
    ignored = (*content.others, *content.of_programs)
    found.others += (os.path.join(folder.full_path, name) for name in sorted(ignored, key=sort_key))
