# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.sources import opening
from mixer_tf.deduplication import thresholds
from mixer_tf.deduplication.fingerprints import concatenate, fingerprint
from mixer_tf.deduplication.matching import find_matches
from mixer_tf.deduplication.uniform_sets import raise_thresholds


@pytest.fixture(scope="module")
def digits() -> list[Image.Image]:
    datasets = pytest.importorskip("sklearn.datasets")
    pixels = np.round(datasets.load_digits().images * (255 / 16)).astype(np.uint8)
    return [Image.fromarray(item) for item in pixels]


def test_no_two_of_the_1797_digits_are_copies_and_every_planted_one_is_found():
    source = opening.open_source("digits")
    records = [
        r for s in source.splits for shard in source.shards_of(s) for r in source.read(shard)
    ]
    gallery = concatenate(fingerprint(records, "test"))
    assert len(gallery) == 1797
    assert not list(find_matches(gallery, gallery, np.arange(1797)))
    planted = concatenate(fingerprint(records[::100], "train"))
    found = {(match.image.source, match.other.source) for match in find_matches(planted, gallery)}
    assert found == {(record.source, record.source) for record in records[::100]}


def test_enlarged_digits_are_recognised_as_a_crowd(digits, save, take_fingerprints):
    """At 28x28 pixels nothing but their likeness to each other gives them away."""
    enlarged = [item.resize((28, 28), Image.Resampling.BICUBIC) for item in digits[:120]]
    images = take_fingerprints("test", map(save, enlarged[:60]))
    others = take_fingerprints("train", map(save, enlarged[60:]))
    assert list(find_matches(others, images))
    stricter, uniform = raise_thresholds(images)
    assert uniform == ("test",)
    assert set(stricter.thresholds) == {np.float32(thresholds.NEAR_IDENTICAL)}
    assert not list(find_matches(others, stricter))
    copies = take_fingerprints("train", [save(item, "JPEG", quality=95) for item in enlarged[:60]])
    assert len(list(find_matches(copies, stricter))) == 60


def test_pictures_are_no_crowd_and_each_source_is_judged_alone(
    digits, picture, save, take_fingerprints
):
    pictures = take_fingerprints("test", [save(picture(seed)) for seed in range(40)])
    enlarged = [save(item.resize((28, 28))) for item in digits[:60]]
    both = concatenate([pictures, take_fingerprints("folder:/digits", enlarged)])
    stricter, uniform = raise_thresholds(both)
    assert uniform == ("folder:/digits",)
    own = [image.set_name == "test" for image in stricter.ids]
    np.testing.assert_array_equal(stricter.thresholds[own], both.thresholds[own])


def test_a_handful_of_images_is_no_crowd(picture, save, take_fingerprints):
    few = take_fingerprints("test", [save(picture(0), "JPEG", quality=q) for q in range(80, 90)])
    assert raise_thresholds(few)[1] == ()


def test_an_empty_gallery_has_no_crowd(take_fingerprints):
    empty = take_fingerprints("test", [])
    stricter, uniform = raise_thresholds(empty)
    assert (len(stricter), uniform) == (0, ())


def test_unreadable_images_are_counted_and_left_out(picture, save):
    good = save(picture(0))
    records = [make_record(item, 0, "cat", "x") for item in (good, b"", b"text", good[:200])]
    images = concatenate(fingerprint(records, "train"))
    assert len(images) == 1
    assert images.unreadable == {"train": 3}
