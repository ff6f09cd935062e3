# SPDX-License-Identifier: Apache-2.0
"""The page and the JSON of image statistics: what they contain, and how a browser shows them."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from webdriver import needs_browser

from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.statistics import measure_records, merge_all
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.visualization import statistics_page

NAMES = ("<img src=x onerror=window.hacked=1>", "a\"b'c", "caf\udce9")
SPEC = "folder:/data/<b>pets</b>"


def records(count: int, brightest: int = 200):
    for index in range(count):
        rng = np.random.default_rng(index)
        pixels = rng.integers(0, brightest, (3, 4, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).resize((40, 30)).save(file, "PNG")
        yield make_record(file.getvalue(), index % 3, NAMES[index % 3], f"{index}")


@pytest.fixture(scope="module")
def statistics():
    """Test images are darker than training images."""
    return merge_all(
        [measure_records(records(90), "train"), measure_records(records(30, 60), "test")]
    )


def read(folder) -> tuple[str, dict]:
    page = (folder / statistics_page.PAGE).read_text("utf-8")
    return page, json.loads((folder / statistics_page.JSON_FILE).read_text("utf-8"))


def test_both_files_have_the_statistics_and_the_anomalies(statistics, tmp_path):
    anomalies = statistics_page.write(str(tmp_path / "new"), statistics, SPEC)
    page, found = read(tmp_path / "new")
    assert found["anomalies"] == anomalies
    assert [line.partition(":")[0] for line in anomalies] == [
        f"train and test differ in {name}" for name in ("brightness", "contrast", *CHANNELS)
    ]
    assert "<p class=bad>5 anomalies:" in page
    assert found["source"] == SPEC
    assert found["splits"]["train"] == json.loads(
        json.dumps(statistics.of_split("train").to_dict())
    )
    assert {name: group["images"] for name, group in found["classes"]["test"].items()} == (
        dict.fromkeys([*NAMES[:2], "caf\N{REPLACEMENT CHARACTER}"], 10)
    )
    assert found["limits"]["skew"] == 0.1 and len(found["skew"]) == 10
    row = re.search(r"<th scope=row>images</th>(.*?)</tr>", page)[1]
    assert re.findall(r"<td><bdi>(.*?)</bdi>", row) == ["90", "30"]


CHANNELS = ("red", "green", "blue")


def test_without_anomalies_the_page_says_so(statistics, tmp_path):
    limits = StatisticsLimits(skew=1)
    assert statistics_page.write(str(tmp_path), statistics, SPEC, limits) == []
    page, found = read(tmp_path)
    assert "<p class=good>No anomalies.</p>" in page and "skew 1," in page
    assert found["anomalies"] == []


def test_the_steps_of_a_plot_are_the_shares_of_the_histogram(statistics, tmp_path):
    """The heights of the polygons, read back from the SVG."""
    statistics_page.write(str(tmp_path), statistics, SPEC)
    svg = re.search(r'<svg[^>]*aria-label="brightness.*?</svg>', read(tmp_path)[0], re.DOTALL)[0]
    grid = [float(value) for value in re.findall(r'class=grid [^>]*y1="([\d.]+)"', svg)]
    bottom, top = grid[0], grid[-1]
    shares = {s: statistics.of_split(s).histogram("brightness") for s in ("train", "test")}
    shares = {split: counts / counts.sum() for split, counts in shares.items()}
    largest = max(each.max() for each in shares.values())
    polygons = re.findall(r'<polygon points="(.*?)"', svg)
    for points, (_, each) in zip(polygons, shares.items(), strict=True):
        heights = [float(point.split(",")[1]) for point in points.split()][1:-1:2]
        drawn = (bottom - np.array(heights)) / (bottom - top) * largest
        used = each[each > 0]
        np.testing.assert_allclose(drawn[drawn > 1e-3], used, atol=2e-3)


def test_many_classes_are_cut_with_a_word(tmp_path, monkeypatch, statistics):
    monkeypatch.setattr(statistics_page, "MAX_CLASSES", 2)
    statistics_page.write(str(tmp_path), statistics, SPEC)
    assert "1 more classes are listed in statistics.json." in read(tmp_path)[0]


def test_a_dataset_without_a_readable_image_has_a_page(tmp_path):
    broken = measure_records([make_record(b"text", 0, "cat", "a.png")], "train")
    (anomaly,) = statistics_page.write(str(tmp_path), broken, SPEC)
    assert anomaly.startswith("1 of 1 train images cannot be decoded (100.0%")
    assert "No image can be decoded." in read(tmp_path)[0]


@needs_browser
def test_a_browser_shows_the_plots_and_names_as_text(browser, statistics, tmp_path):
    statistics_page.write(str(tmp_path), statistics, SPEC)
    browser.open((tmp_path / statistics_page.PAGE).as_uri())
    text = browser.run("return document.body.innerText")
    for name in (*NAMES[:2], "caf\N{REPLACEMENT CHARACTER}", SPEC):
        assert name in text
    assert browser.run("return window.hacked === undefined")
    assert browser.run("return document.querySelectorAll('figure svg polygon').length") == 14
    assert browser.run("return document.querySelector('polygon').getBBox().width") > 100
    assert browser.errors() == []
