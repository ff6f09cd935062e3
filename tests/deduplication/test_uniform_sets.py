# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.sources import opening
from mixer_tf.deduplication import connected, thresholds, uniform_sets
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


def edited(image: Image.Image, number: int) -> Image.Image:
    """A crop of one, two, three or four sides by 6 % each."""
    width, height = image.size
    left, top, right, bottom = (0.06 * (number >> side & 1) for side in range(4))
    box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return image.crop(tuple(map(round, box)))


@pytest.mark.parametrize("numbers", [(3, 6, 9, 15), range(1, 9)])
def test_edited_copies_of_its_images_do_not_make_a_set_uniform(
    numbers, random_image, save, take_fingerprints
):
    """Such as 30 photographs, each with several crops: each has a duplicate in the set."""
    photos = [random_image(seed) for seed in range(30)]
    crops = [edited(photo, number) for photo in photos for number in numbers]
    encoded = [save(image, "JPEG", quality=70) for image in crops]
    images = take_fingerprints("test", [*map(save, photos), *encoded])
    raised, uniform = raise_thresholds(images)
    assert uniform == ()
    planted = [save(photo, "JPEG", quality=60) for photo in photos]
    found = find_matches(take_fingerprints("train", planted), raised)
    assert len({match.image for match in found}) == 30


def keys(*numbers: int) -> list[bytes]:
    return [bytes([number]) for number in numbers]


def similar(pairs: list[tuple[int, int]], distance: float) -> uniform_sets.Similar:
    """What is similar if pairs of images, by their numbers, have one distance."""
    edges = frozenset(connected.make_edge(*keys(*pair)) for pair in pairs)
    return uniform_sets.Similar(edges, {key: distance for edge in edges for key in edge})


CLIQUE = [(first, second) for first in range(5) for second in range(first)]
CHAIN = [(number, number + 1) for number in range(4)]
LARGE = [(first, second) for first in range(30) for second in range(first)]


@pytest.mark.parametrize(
    ("pairs", "distance", "expected"),
    [
        (CLIQUE, 0.02, 0),
        (CHAIN, 0.02, 5),  # Copies of one image would all be similar.
        (CLIQUE, 0.2, 5),  # Copies would include one that is nearly equal.
        ([(0, 1)], 0.02, 0),
        (LARGE, 0.02, 30),  # So many images of the sample are not copies of one.
        ([*CLIQUE, (7, 8), (8, 9)], 0.02, 3),
        ([], 0.02, 0),
    ],
)
def test_copies_and_look_alikes_differ_in_their_groups(pairs, distance, expected):
    assert uniform_sets._count_look_alikes(similar(pairs, distance), most_copies=12) == expected


def test_nearly_identical_images_are_copies_whatever_their_group_is():
    chain = uniform_sets.Similar(similar(CHAIN, 0.1).edges, {})
    assert uniform_sets._count_look_alikes(chain, most_copies=12) == 0


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
