# SPDX-License-Identifier: Apache-2.0
"""Skew and anomalies: distances against formulas and simulation, and which data raise which."""

import io
import itertools
import math
import pathlib
import zipfile

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets import skew
from mixer_tf.datasets.anomalies import (
    describe_group,
    find_anomalies,
    summarize_anomalies,
)
from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.statistics import measure_records, merge_all
from mixer_tf.datasets.statistics_limits import StatisticsLimits

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"


def test_divergence_is_that_of_the_formula():
    p, q = np.array([10, 30, 60, 0]), np.array([5, 0, 40, 5])
    expected = 0.0
    for a, b in zip(p / p.sum(), q / q.sum(), strict=True):
        middle = (a + b) / 2
        expected += sum(x / 2 * math.log2(x / middle) for x in (a, b) if x)
    assert skew.jensen_shannon(p, q) == pytest.approx(expected)
    assert skew.jensen_shannon(p, 7 * p) == 0
    assert skew.jensen_shannon(np.array([3, 0]), np.array([0, 9])) == 1


@pytest.mark.parametrize(("bins", "sizes"), [(2, (50, 400)), (10, (300, 300)), (32, (5000, 400))])
def test_expected_divergence_is_that_of_samples(bins, sizes):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(bins, 5.0))
    samples = [[rng.multinomial(size, shares) for size in sizes] for _ in range(400)]
    simulated = np.mean([skew.jensen_shannon(*sample) for sample in samples])
    expected = np.mean([skew.expected_divergence(*sample) for sample in samples])
    assert expected == pytest.approx(simulated, rel=0.15)


def test_the_default_limit_is_a_shift_by_less_than_one_standard_deviation():
    """As the documentation of the limit says."""
    rng, edges = np.random.default_rng(0), np.linspace(0, 256, 33)
    counts = [np.histogram(rng.normal(mean, 20, 10**6), edges)[0] for mean in (100, 116)]
    assert skew.jensen_shannon(*counts) == pytest.approx(StatisticsLimits().skew, abs=0.01)


def records(count: int, seed: int = 0, name: str = "cat", image_format="PNG", **changes):
    """Random gradients of 24x32 pixels in color; `brighter` is added, `gray` removes color."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        small = rng.integers(0, 200, (3, 4, 3)).astype(np.uint8)
        if changes.get("gray"):
            small[:] = small[..., :1]
        image = Image.fromarray(small + np.uint8(changes.get("brighter", 0)))
        size = changes.get("size", (32, 24))
        file = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(file, image_format, lossless=True)
        yield make_record(file.getvalue(), 0, name, f"/{name}/{seed}-{index:03}")


def of_splits(**splits):
    return merge_all(measure_records(found, split) for split, found in splits.items())


def test_splits_of_one_distribution_raise_nothing():
    assert find_anomalies(of_splits(train=records(300), eval=records(40, 1), test=[])) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"brighter": 55}, "train and test differ in brightness: Jensen-Shannon divergence 1.00"),
        (
            {"size": (96, 72)},
            "train and test differ in image sizes: Jensen-Shannon divergence 1.00",
        ),
        ({"size": (24, 32)}, "train and test differ in aspect ratios: "),
        (
            {"gray": True},
            "train and test differ in the share of grayscale images: 0.0% of train and 100.0% of "
            "test are grayscale, a difference of ",
        ),
        (
            {"image_format": "WEBP"},
            "train and test differ in file formats: 100.0% of train and 0.0% of test are 'PNG'",
        ),
        ({"name": "dog"}, "train and test differ in labels: 100.0% of train and 0.0% of test are"),
    ],
)
def test_each_kind_of_skew_is_found(changes, words):
    found = find_anomalies(of_splits(train=records(200), test=records(100, 1, **changes)))
    assert [line for line in found if line.startswith(words)]


def test_a_few_images_are_not_judged():
    """The same shift of brightness, in so few images that chance explains it."""
    assert find_anomalies(of_splits(train=records(5), test=records(4, 1, brighter=40))) == []


def test_a_class_that_its_format_betrays_is_named():
    classes = [records(60, 0, "cat"), records(60, 1, "dog"), records(60, 2, "cow", "WEBP")]
    found = find_anomalies(of_splits(train=itertools.chain(*classes)))
    chance = 4 * math.sqrt(2 / 3 * 1 / 3 * (1 / 60 + 1 / 120))
    assert found == [
        "class 'cow' can be recognized by its file formats alone: 0.0% of cow and 100.0% of the "
        f"other classes are 'PNG', a difference of {1 - chance:.2f} beyond chance, limit 0.5"
    ]
    allowed = StatisticsLimits(class_skew=1)
    classes = [records(60, 0, "cat"), records(60, 2, "cow", "WEBP")]
    assert find_anomalies(of_splits(train=itertools.chain(*classes)), allowed) == []


def test_unreadable_and_nearly_constant_images_are_counted():
    flat = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(flat, "PNG")
    odd = [
        make_record(b"no image", 0, "cat", "/broken.png"),
        make_record(flat.getvalue(), 0, "cat", "/red.png"),
    ]
    statistics = of_splits(train=[*records(60), *odd])
    assert find_anomalies(statistics) == [
        "1 of 62 train images cannot be decoded (1.6%, limit 1.0%), such as /broken.png",
        "1 of 61 train images are nearly of one color (1.6%, limit 1.0%), such as /red.png",
    ]
    assert find_anomalies(statistics, StatisticsLimits(unreadable=0.1, near_constant=0.1)) == []


def test_limits_are_shares():
    with pytest.raises(ValueError, match="skew must be a share or a difference from 0 to 1; got 2"):
        StatisticsLimits(skew=2)


def test_only_the_first_anomalies_are_notes():
    lines = [f"{i}" for i in range(7)]
    assert summarize_anomalies(lines, "statistics.html") == [
        *lines[:5],
        "and 2 more anomalies of the images; look at statistics.html",
    ]
    assert summarize_anomalies(lines[:5], "statistics.html") == lines[:5]


def test_formats_are_named_by_their_number_and_then_by_name():
    found = of_splits(train=[*records(3, image_format="WEBP"), *records(3), *records(4)])
    described = describe_group(found.of_split("train"))
    assert described["formats"] == "PNG 70.0%, WEBP 30.0%" and described["sizes"] == "32×24"
    tied = of_splits(train=[*records(1, image_format="WEBP"), *records(1)])
    assert describe_group(tied.of_split("train"))["formats"] == "PNG 50.0%, WEBP 50.0%"


def test_the_digits_raise_nothing():
    digits = opening.open_source("digits")
    read = {
        split: itertools.chain.from_iterable(map(digits.read, digits.shards_of(split)))
        for split in digits.splits
    }
    found = of_splits(**read)
    assert found.of_split("train").gray == found.of_split("train").images > 1000
    assert find_anomalies(found) == []


def zipped(name: str, step: int):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs {path}")
    with zipfile.ZipFile(path) as file:
        names = sorted(each for each in file.namelist() if each.lower().endswith(("jpg", "jpeg")))
        for each in names[::step]:
            yield make_record(file.read(each), 0, each.rpartition("/")[0], each)


def test_cifar_10_raises_nothing_and_has_its_known_means():
    """Published for the training images: means 0.4914, 0.4822, 0.4465, deviations 0.247, …"""
    found = of_splits(train=zipped("cifar10/train.zip", 25), test=zipped("cifar10/test.zip", 10))
    assert find_anomalies(found) == []
    train = found.of_split("train")
    means = [train.mean(name) / 255 for name in ("red", "green", "blue")]
    deviations = [train.std(name) / 255 for name in ("red", "green", "blue")]
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.01)
    np.testing.assert_allclose(deviations, [0.2470, 0.2435, 0.2616], atol=0.01)


def test_photographs_raise_nothing():
    photos = list(zipped("photos/photos.zip", 1))
    found = of_splits(train=photos[::2], eval=photos[1::4], test=photos[3::4])
    assert find_anomalies(found) == []
    assert sum(found.of_split(split).gray for split in found.splits) == 11  # counted by eye
