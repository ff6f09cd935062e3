# SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation: its numbers, its bounds, and its use in a real browser."""

import dataclasses
import re

import pytest
from webdriver import needs_browser, open_browser

from mixer_tf.evaluation import page as evaluation_page
from mixer_tf.evaluation.calibration import Calibration
from mixer_tf.evaluation.classification import LabeledPrediction
from mixer_tf.evaluation.comparison import compare
from mixer_tf.evaluation.figures import Figures, Mistake

HOSTILE = ("<img src=x onerror=window.hacked=1>", "</script><b>", "a\"b'c", "x\n\x1b[31my", "猫")


@pytest.fixture
def figures(encode, make_pixels) -> Figures:
    names = (*HOSTILE, "no images")
    confusion = {(HOSTILE[0], HOSTILE[0]): 3, (HOSTILE[0], HOSTILE[1]): 1, (HOSTILE[1], "猫"): 2}
    calibration = Calibration()
    calibration.add(0.9, True, 3)
    calibration.add(0.95, False)
    calibration.add(0.3, False, 2)
    preview = encode(make_pixels(0, 40, 80), "JPEG")
    prediction = LabeledPrediction(f"/data/{HOSTILE[0]}.png", HOSTILE[0], HOSTILE[1], 0.95, 2, 0.05)
    return Figures(
        model="runs/<b>model</b>",
        summary={"images": "6: test", "top-1": "0.5000  (3 of 6)"},
        class_names=names,
        confusion=confusion,
        calibration=calibration,
        warnings=["only <i>six</i> images"],
        notes=["a note"],
        slices={"all": {"images": "6", "top-1": "0.5000"}, "clean": {"images": "4"}},
        mistakes={"Most confident mistakes": [Mistake(prediction, preview)], "None of these": []},
        problems=[("x\ny.png", "empty file")],
    )


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The texts of the cells of the first table after a heading."""
    found = page.partition(f">{heading}</h")[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", found, re.DOTALL)
    return [
        [re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", r)] for r in rows
    ]


def test_tables_hold_the_numbers(figures):
    page = evaluation_page.render("Evaluation", [figures])
    assert rows_of(page, "Parts of the images") == [
        ["", "images", "top-1"],
        ["all", "6", "0.5000"],
        ["clean", "4", "–"],
    ]
    assert rows_of(page, "Calibration")[1:] == [
        ["0.267 – 0.333", "2", "0.3000", "0.0000"],
        ["0.867 – 0.933", "3", "0.9000", "1.0000"],
        ["0.933 – 1.000", "1", "0.9500", "0.0000"],
    ]
    first, second, third = rows_of(page, "Classes")[1:]
    assert first[1:4] == ["4", "0.7500", "1.0000"]
    assert second[1:4] == ["2", "0.0000", "0.0000"]
    assert third == ["猫", "0", "–", "0.0000", "–"]
    matrix = rows_of(page, "Confusion matrix")
    assert [row[1:] for row in matrix[1:]] == [["3", "1", ""], ["", "", "2"], ["", "", ""]]
    assert '<td class="h8 right">3</td><td class="h2">1</td>' in page  # 3/4 and 1/4, rounded


def test_bars_of_the_reliability_plot_reach_accuracy_and_confidence(figures):
    """The heights of the rectangles, read back from the SVG."""
    page = evaluation_page.render("Evaluation", [figures])
    svg = re.search(r'<svg[^>]*aria-label="Accuracy of the predictions".*?</svg>', page, re.DOTALL)[
        0
    ]
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', svg)
    heights = [float(height) / 300 for _, height in bars]
    # Blue up to the lower of accuracy and confidence, orange from there to the higher one.
    assert heights == pytest.approx([0, 0.3, 0.9, 0.1, 0, 0.95], abs=2e-3)
    lefts = [(float(left) - 44.5) / 300 for left, _ in bars[::2]]
    assert lefts == pytest.approx([4 / 15, 13 / 15, 14 / 15], abs=2e-3)


def test_of_many_classes_those_with_the_most_errors_are_in_the_matrix():
    names = [f"class {index}" for index in range(300)]
    confusion = {(name, name): 5 for name in names}
    confusion |= {("class 7", "class 299"): 9, ("class 100", "class 8"): 4}
    page = evaluation_page.render("Evaluation", [Figures("m", {}, names, confusion)])
    matrix = rows_of(page, "Confusion matrix")
    shown = [row[0] for row in matrix[1:]]
    assert len(shown) == evaluation_page.MAX_MATRIX and len(matrix[0]) == len(shown) + 1
    assert {"class 7", "class 8", "class 100", "class 299"} <= set(shown)
    assert shown == sorted(shown, key=names.index)
    assert "40 of 300 classes, those with the most errors" in page
    classes = rows_of(page, "Classes")
    assert len(classes) == 1 + evaluation_page.MAX_CLASSES and classes[1][0] == "class 7"
    assert "the 200 with the lowest recall" in page


def test_several_models_are_side_by_side_with_their_differences(figures):
    right = {"old": [True] * 6 + [False] * 6, "new": [True] * 12}
    comparisons = compare(right, right)
    page = evaluation_page.render("Evaluation", [figures, figures], comparisons)
    assert rows_of(page, "Models on the same images")[1][1:] == ["0.5000"]
    assert rows_of(page, "Differences")[1] == [
        *("old", "new", "+0.5000", "+0.2500 to +0.7500", "0", "6", "6", "0.0312 *"),
    ]
    assert page.count("<h3>Calibration</h3>") == 2 and "exact McNemar test" in page


def test_an_evaluation_without_images_has_a_page():
    page = evaluation_page.render("Evaluation", [Figures("m", {}, ("cat",), {}, Calibration())])
    assert "Calibration" not in page and "Confusion" not in page


@needs_browser
def test_a_browser_shows_names_as_text_and_every_part(figures, tmp_path):
    path = tmp_path / "page.html"
    more = {**figures.confusion, (HOSTILE[2], HOSTILE[3]): 1}
    figures = dataclasses.replace(figures, confusion=more)
    evaluation_page.write(str(path), f"Evaluation on {HOSTILE[0]}", [figures])
    with open_browser() as browser:
        browser.open(path.as_uri())
        text = browser.run("return document.body.innerText")
        for name in (*HOSTILE[:3], "x\\n\\x1b[31my", "x\\ny.png", "猫", "runs/<b>model</b>"):
            assert name in text
        assert browser.run("return window.hacked === undefined")
        assert browser.run("return document.querySelector('.mistakes img').naturalWidth") == 80
        color = browser.run("return getComputedStyle(document.querySelector('td.h8')).background")
        assert "rgba(26, 102, 208, 0.6)" in color
        assert browser.run("return document.querySelectorAll('svg rect').length") == 6 + 15
        assert browser.errors() == []


def test_classes_without_images_do_not_hide_the_worst():
    names = [f"{index:03}" for index in range(300)]
    confusion = {("299", "299"): 9, ("299", "000"): 1}
    confusion |= {("298", name): 1 for name in names[:250]}
    page = evaluation_page.render("Evaluation", [Figures("m", {}, names, confusion)])
    assert [row[0] for row in rows_of(page, "Classes")[1:3]] == ["298", "299"]
