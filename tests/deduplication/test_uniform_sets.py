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


def test_no_two_of_the_1797_digits_are_duplicates_and_inserted_ones_are_found():
    source = opening.open_source("digits")
    records = [
        r for s in source.splits for shard in source.shards_of(s) for r in source.read(shard)
    ]
    gallery = concatenate(fingerprint(records, "test"))
    assert len(gallery) == 1797
    assert not list(find_matches(gallery, gallery, np.arange(1797)))
    inserted = concatenate(fingerprint(records[::100], "train"))
    found = {(match.image.source, match.other.source) for match in find_matches(inserted, gallery)}
    assert found == {(record.source, record.source) for record in records[::100]}


def test_enlarged_digits_are_a_uniform_set(digits, save, take_fingerprints):
    """At 28x28 pixels they are not small, so only their similarity to each other shows it."""
    enlarged = [item.resize((28, 28), Image.Resampling.BICUBIC) for item in digits[:120]]
    images = take_fingerprints("test", map(save, enlarged[:60]))
    others = take_fingerprints("train", map(save, enlarged[60:]))
    assert list(find_matches(others, images))
    raised, uniform = raise_thresholds(images)
    assert uniform == ("test",)
    assert set(raised.thresholds) == {np.float32(thresholds.NEAR_IDENTICAL)}
    assert not list(find_matches(others, raised))
    copies = take_fingerprints("train", [save(item, "JPEG", quality=95) for item in enlarged[:60]])
    assert len(list(find_matches(copies, raised))) == 60


def test_random_images_are_not_a_uniform_set_and_each_source_is_a_set_of_its_own(
    digits, random_image, save, take_fingerprints
):
    random_images = take_fingerprints("test", [save(random_image(seed)) for seed in range(40)])
    enlarged = [save(item.resize((28, 28))) for item in digits[:60]]
    both = concatenate([random_images, take_fingerprints("folder:/digits", enlarged)])
    raised, uniform = raise_thresholds(both)
    assert uniform == ("folder:/digits",)
    own = [image.set_name == "test" for image in raised.ids]
    np.testing.assert_array_equal(raised.thresholds[own], both.thresholds[own])


@pytest.mark.parametrize("same_bytes", [True, False])
def test_copies_of_one_image_do_not_make_a_set_uniform(
    same_bytes, random_image, save, take_fingerprints
):
    """Such as 30 placeholders; those with other bytes have equal pixels."""
    levels = [6] * 30 if same_bytes else range(10)
    placeholders = [save(random_image(0), compress_level=level) for level in levels]
    placeholders += [] if same_bytes else [save(random_image(0), "WEBP", lossless=True)]
    photos = [save(random_image(seed)) for seed in range(1, 31)]
    images = take_fingerprints("test", [*placeholders, *photos])
    raised, uniform = raise_thresholds(images)
    assert uniform == ()
    planted = [save(random_image(seed), "JPEG", quality=60) for seed in range(1, 31)]
    found = find_matches(take_fingerprints("train", planted), raised)
    assert len({match.image for match in found}) == 30


def test_a_uniform_set_with_copies_is_still_uniform(digits, save, take_fingerprints):
    enlarged = [save(item.resize((28, 28), Image.Resampling.BICUBIC)) for item in digits[:60]]
    assert raise_thresholds(take_fingerprints("test", enlarged + enlarged[:40]))[1] == ("test",)


def test_a_few_images_are_not_a_uniform_set(random_image, save, take_fingerprints):
    few = take_fingerprints(
        "test", [save(random_image(0), "JPEG", quality=q) for q in range(80, 90)]
    )
    assert raise_thresholds(few)[1] == ()


def test_an_empty_gallery_has_no_uniform_sets(take_fingerprints):
    empty = take_fingerprints("test", [])
    raised, uniform = raise_thresholds(empty)
    assert (len(raised), uniform) == (0, ())


def test_unreadable_images_are_counted_but_not_fingerprinted(random_image, save):
    good = save(random_image(0))
    records = [make_record(item, 0, "cat", "x") for item in (good, b"", b"text", good[:200])]
    images = concatenate(fingerprint(records, "train"))
    assert len(images) == 1
    assert images.unreadable == {"train": 3}
