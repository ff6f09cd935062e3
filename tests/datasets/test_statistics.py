# SPDX-License-Identifier: Apache-2.0
"""Statistics of a dataset against numpy and PIL, and that they can be merged in any order."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets import statistics
from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.statistics import HISTOGRAMS, measure_records, merge_all


@pytest.fixture(scope="module")
def records():
    """40 images of several sizes and formats in two classes, one of them gray, and two damaged."""
    found = []
    for index in range(40):
        rng = np.random.default_rng(index)
        size = (int(rng.integers(8, 64)), int(rng.integers(8, 64)))
        pixels = rng.integers(0, 30 + 5 * index, (*size, 3), dtype=np.uint8)
        if index % 8 == 0:
            pixels[:] = pixels[..., :1]
        if index == 5:
            pixels[:] = 77
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "WEBP" if index % 4 == 3 else "PNG", lossless=True)
        label = index % 2
        found.append(make_record(file.getvalue(), label, ("cat", "dog")[label], f"{index:02}"))
    broken = make_record(found[0].encoded[:60], 0, "cat", "99-broken")
    return [*found, broken, make_record(b"text", 1, "dog", "98-text")]


@pytest.fixture(scope="module")
def pixels(records):
    """The pixels of the images that can be decoded, float64 [H, W, 3]."""
    opened = (Image.open(io.BytesIO(record.encoded)) for record in records[:40])
    return [np.asarray(image).astype(np.float64) for image in opened]


def test_the_statistics_of_a_split_are_those_of_numpy(records, pixels):
    found = measure_records(records, "train").of_split("train")
    assert (found.images, found.unreadable) == (40, 2)
    assert found.formats == {"PNG": 30, "WEBP": 10}
    assert found.flat == 1 and found.gray == 6  # 0, 8, …, 32, and the flat one
    widths, heights = ([each.shape[axis] for each in pixels] for axis in (1, 0))
    assert found.smallest == (min(widths), min(heights))
    assert found.largest == (max(widths), max(heights))
    assert found.mean("width") == np.mean(widths)
    assert found.mean("bytes") == np.mean([len(record.encoded) for record in records[:40]])
    luma = [each @ [0.299, 0.587, 0.114] for each in pixels]
    brightness, contrast = ([getattr(np, f)(each) for each in luma] for f in ("mean", "std"))
    for name, values in (("brightness", brightness), ("contrast", contrast)):
        np.testing.assert_allclose(found.mean(name), np.mean(values), atol=0.003)
        np.testing.assert_allclose(found.std(name), np.std(values), atol=0.003)
    for channel, name in enumerate(("red", "green", "blue")):
        means = [each[..., channel].mean() for each in pixels]
        squares = [(each[..., channel] ** 2).mean() for each in pixels]
        np.testing.assert_allclose(found.mean(name), np.mean(means), atol=0.003)
        expected = np.sqrt(np.mean(squares) - np.mean(means) ** 2)
        np.testing.assert_allclose(found.std(name), expected, atol=0.003)


def test_the_histograms_are_those_of_numpy(records, pixels):
    found = measure_records(records, "train").of_split("train")
    luma = [each @ [0.299, 0.587, 0.114] for each in pixels]
    values = {
        "shorter_side": [min(each.shape[:2]) for each in pixels],
        "aspect_ratio": [each.shape[1] / each.shape[0] for each in pixels],
        "brightness": [each.mean() for each in luma],
        "contrast": [each.std() for each in luma],
        "red": [each[..., 0].mean() for each in pixels],
        "green": [each[..., 1].mean() for each in pixels],
        "blue": [each[..., 2].mean() for each in pixels],
    }
    assert values.keys() == HISTOGRAMS.keys()
    for name, each in values.items():
        edges = HISTOGRAMS[name].edges()
        clipped = np.clip(each, edges[0], np.nextafter(edges[-1], 0))
        np.testing.assert_array_equal(found.histogram(name), np.histogram(clipped, edges)[0], name)


def test_values_beyond_the_bins_count_in_the_first_and_last(records):
    side = HISTOGRAMS["shorter_side"]
    assert [side.bin_of(value) for value in (1, 4, 256, 2**18, 2**20)] == [0, 0, 12, 31, 31]
    ratio = HISTOGRAMS["aspect_ratio"]
    assert ratio.bin_of(1.0) == ratio.bin_of(0.99) == ratio.bin_of(1.01)
    assert len({ratio.bin_of(value) for value in (1, 4 / 3, 3 / 2, 16 / 9)}) == 4


def test_parts_merge_to_the_same_in_any_order(records):
    whole = measure_records(records, "train")
    parts = [measure_records(records[start::3], "train") for start in range(3)]
    before = parts[0].of_split("train").to_dict()
    merged = [merge_all(parts), merge_all([*parts[::-1], merge_all([])])]
    for each in merged:
        assert each.groups.keys() == whole.groups.keys()
        for key, group in whole.groups.items():
            assert each.groups[key].to_dict() == group.to_dict()
    assert parts[0].of_split("train").to_dict() == before


def test_classes_and_splits_add_up(records):
    together = merge_all([measure_records(records[:21], "test"), measure_records(records, "train")])
    assert together.splits == ["train", "test"]
    classes = together.of_classes("train")
    assert [(name, group.images, group.unreadable) for name, group in classes.items()] == [
        ("cat", 20, 1),
        ("dog", 20, 1),
    ]
    total = sum(group.histogram("brightness") for group in classes.values())
    np.testing.assert_array_equal(together.of_split("train").histogram("brightness"), total)
    assert together.of_split("test").images == 21


def test_the_first_examples_by_name_are_kept(records, monkeypatch):
    monkeypatch.setattr(statistics, "MAX_EXAMPLES", 1)
    found = measure_records(records[::-1], "train").of_split("train")
    assert found.examples == {"unreadable": ["98-text"], "flat": ["05"]}


def test_the_result_is_json(records):
    found = json.loads(json.dumps(measure_records(records, "train").of_split("train").to_dict()))
    assert found["histograms"]["red"]["edges"][:2] == [0, 8]
    assert sum(found["histograms"]["red"]["counts"]) == found["images"] == 40
    empty = measure_records(records[-2:], "train").of_split("train").to_dict()
    assert "mean" not in json.loads(json.dumps(empty))
