# SPDX-License-Identifier: Apache-2.0
"""Files and folders that a user names become a list of images, and nothing is lost silently."""

import os

import pytest

from mixer_tf.datasets import image_paths
from mixer_tf.datasets.sources import folder_tree

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def album(tmp_path):
    """Images at three depths, an image without suffix, and what is not an image."""
    folder = tmp_path / "album"
    names = ["10.jpg", "2.JPG", "day 1/9/b.png", "day 1/9/a10.png", "day 1/9/a9.png"]
    names += ["day 10/x.webp", "scan", "list.txt", ".hidden.png", "@eaDir/2.JPG/thumb.jpg"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)
    (folder / "raw").write_bytes(b"?")
    return folder


def test_images_of_a_folder_are_in_natural_order(album):
    found = image_paths.find_images([str(album)])
    names = [os.path.relpath(path, album) for path in found.images]
    assert names == [
        *("2.JPG", "10.jpg", "day 1/9/a9.png", "day 1/9/a10.png", "day 1/9/b.png"),
        *("day 10/x.webp", "scan"),
    ]
    assert not found.problems


def test_what_is_ignored_is_counted_with_an_example(album):
    (note,) = image_paths.find_images([str(album)]).notes()
    example = album / "@eaDir"
    assert note == f"files and folders that are not images were ignored: 3, such as {example}"
    assert image_paths.find_images([str(album / "day 1")]).notes() == ()


def test_files_and_folders_keep_the_order_in_which_they_were_named(album, tmp_path):
    paths = [tmp_path / "none.jpg", album / "day 10", album / "list.txt", album / "day 10/x.webp"]
    found = image_paths.find_images(map(str, paths))
    assert found.images == [str(paths[0]), str(paths[3]), str(paths[2]), str(paths[3])]


def test_folders_without_images_are_named(album):
    (album / "empty" / "inner").mkdir(parents=True)
    (album / "texts").mkdir()
    (album / "texts" / "a.txt").touch()
    found = image_paths.find_images([str(album / "empty"), str(album / "texts")])
    assert not found.images
    assert found.problems == {
        str(album / "empty"): "a folder without images",
        str(album / "texts"): "a folder without images",
    }


def test_a_link_to_a_folder_above_is_not_followed_for_ever(album):
    before = len(image_paths.find_images([str(album)]).images)
    (album / "day 1" / "loop").symlink_to(album)
    assert len(image_paths.find_images([str(album)]).images) == before


def test_a_folder_that_cannot_be_listed_hides_no_other(album, monkeypatch):
    list_folder = folder_tree.files.list_folder

    def fail_in_one(folder):
        if folder.endswith("/9"):
            raise PermissionError(13, "Permission denied", folder)
        return list_folder(folder)

    monkeypatch.setattr(folder_tree.files, "list_folder", fail_in_one)
    found = image_paths.find_images([str(album)])
    reason = "a folder that cannot be listed: permission denied"
    assert found.problems == {str(album / "day 1/9"): reason}
    assert len(found.images) == 4
