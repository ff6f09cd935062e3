# SPDX-License-Identifier: Apache-2.0
"""Stored fingerprints are those that were written; a damaged file counts as missing."""

import collections
import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets.files import make_record
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate, fingerprint
from mixer_tf.deduplication.standalone import fingerprint_files


@pytest.fixture
def images(random_image, save) -> Fingerprints:
    names = ["a.png", "caf\udce9.png", "été 夏.png", "two\nlines.png"]
    records = [
        make_record(save(random_image(seed)), 0, ("cat", "", "d\udcffg", "x")[seed], name)
        for seed, name in enumerate(names)
    ]
    return concatenate(fingerprint([*records, make_record(b"", 0, "cat", "bad")], "train", 7))


def assert_same(first: Fingerprints, second: Fingerprints) -> None:
    for field in dataclasses.fields(Fingerprints):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, strict=True)
        else:
            assert one == other and type(one) is type(other), field.name


def test_every_field_is_stored(images, tmp_path):
    assert images.unreadable == {"train": 1} and len(images) == 4
    path = str(tmp_path / "a.npz")
    fingerprint_files.write(path, images)
    assert_same(fingerprint_files.read(path), images)
    renumbered = fingerprint_files.read(path, work_item=3)
    assert {image.work_item for image in renumbered.ids} == {3}
    names, digests = fingerprint_files.read_labels(path)
    assert names == [image.class_name for image in images.ids]
    assert [row.tobytes() for row in digests] == list(images.digests)


def test_small_images_take_little_space(images, save, make_pixels, tmp_path):
    """An image of 32x32 pixels has one view, and a thumbnail of 64x64 that repeats its pixels."""
    sizes = [(32, 32)] * 20 + [(8, 8), (40, 30)]
    made = [
        Image.fromarray(make_pixels(seed, height=height, width=width))
        for seed, (height, width) in enumerate(sizes)
    ]
    records = [make_record(save(image), 0, "cat", str(seed)) for seed, image in enumerate(made)]
    small = concatenate(fingerprint(records, "train", 7))
    path = str(tmp_path / "small.npz")
    fingerprint_files.write(path, small.take(range(20)))
    assert os.path.getsize(path) / 20 < 5000
    mixed = concatenate([small, dataclasses.replace(images, unreadable=collections.Counter())])
    fingerprint_files.write(path, mixed)
    assert_same(fingerprint_files.read(path), mixed)


def test_no_image_is_stored_as_well(tmp_path):
    path = str(tmp_path / "a.npz")
    empty = concatenate([])
    empty = dataclasses.replace(empty, unreadable=collections.Counter({"train": 9}))
    fingerprint_files.write(path, empty)
    assert_same(fingerprint_files.read(path), empty)
    names, digests = fingerprint_files.read_labels(path)
    assert (names, len(digests)) == ([], 0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_damaged_file_counts_as_missing(images, tmp_path, share):
    path = str(tmp_path / "a.npz")
    assert fingerprint_files.read(path) is None and fingerprint_files.read_labels(path) is None
    fingerprint_files.write(path, images)
    os.truncate(path, int(share * os.path.getsize(path)))
    assert fingerprint_files.read(path) is None and fingerprint_files.read_labels(path) is None
    np.savez(path, other=np.zeros(3))
    assert fingerprint_files.read(path) is None and fingerprint_files.read_labels(path) is None
