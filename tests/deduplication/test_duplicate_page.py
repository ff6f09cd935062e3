# SPDX-License-Identifier: Apache-2.0
"""The page of pairs: its content, its bounds, and its use in a real browser."""

import collections
import dataclasses
import json
import pathlib
import random
import re
import time

import pytest
from webdriver import needs_browser, open_browser

from mixer_tf.deduplication import kept_images, previews
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.label_conflicts import LabeledImage
from mixer_tf.deduplication.matching import COPY, EXACT, Match
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.pair_page import conflicts as conflicts_part
from mixer_tf.deduplication.pair_page import page
from mixer_tf.deduplication.pairs import (
    KEPT_LABELS_DIFFER,
    KEPT_LISTED,
    REMOVED,
    Pair,
    PairsOf,
)
from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import ImageRecord

OTHER = "folder:/other <sets>"
SETS = ("train", "test", OTHER)
HOSTILE = [
    "</script><script>window.hacked = 1</script>.png",
    "<img src=x onerror=window.hacked=1>.png",
    "\" onload='window.hacked=1' x=\".png",
    "two\nlines\u2028and\u2029more.png",
    "{{data}}&lt;amp;.png",
    "#comment.png",
    "{brace.png",
    " spaces around\u3000",
    "caf\udce9.png",
    "plain ä/ö.png",
]


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        browser.call("POST", "/window/rect", {"width": 1400, "height": 1000})
        yield browser


class Reader:
    """Reads work items of three images each, and counts how often each is read."""

    def __init__(self, encoded):
        self._encoded = encoded
        self.read = collections.Counter()

    def __call__(self, work_item):
        self.read[work_item] += 1
        for index in range(3):
            yield ImageRecord(self._encoded[index], "PNG", 0, "cat", "", 48, 48)


@pytest.fixture(scope="module")
def encoded(random_image, save):
    return [save(random_image(0)), save(random_image(1)), b"no longer an image"]


@pytest.fixture
def readers(encoded):
    return {name: Reader(encoded) for name in SETS}


def image(set_name: str, source: str, class_name: str = "", work_item=0, index: int = 0) -> ImageId:
    return ImageId(set_name, source, class_name, work_item, index)


def summarize(pairs, **changes) -> dict:
    return {
        "compared": {"train": 1000, "test": 50, OTHER: 40},
        "unreadable": {"train": 2, "test": 0, OTHER: 0},
        "duplicates_by_set": collections.Counter(pair.other.set_name for pair in pairs),
        "thresholds": {"photographs": 0.86},
        "method": "mean of <two> numbers",
        "uniform_sets": [],
        **changes,
    }


def write(folder: pathlib.Path, pairs, readers, conflicts=(), **options) -> pathlib.Path:
    page.write(str(folder), summarize(pairs), pairs, readers, conflicts, **options)
    return folder / options.get("file_name", "pairs.html")


def text_of(path: pathlib.Path) -> str:
    return path.read_text("utf-8", errors="surrogateescape")


def data_of(path: pathlib.Path) -> dict:
    """The JSON in the page."""
    found = re.search(r'type="application/json">(.*?)</script>', text_of(path), re.DOTALL)
    return json.loads(found[1])


@pytest.fixture
def pairs() -> list[Pair]:
    """Hostile names in training, against two sets; one pair of two classes, one listed image."""
    found = [
        Pair(
            image("train", name, f"class {name}", work_item=0, index=position % 2),
            image(("test", OTHER)[position % 2], f"other {name}", f"class {name}"),
            distance=round(position / 100, 4),
            reason=COPY if position else EXACT,
            decision=KEPT_LISTED if position == 7 else REMOVED,
        )
        for position, name in enumerate(HOSTILE)
    ]
    differs = {"decision": KEPT_LABELS_DIFFER, "labels_differ": True}
    found[-1] = dataclasses.replace(found[-1], other=image("test", "b", "dog"), **differs)
    return found


def test_all_pairs_are_in_the_page_the_least_certain_first(tmp_path, pairs, readers):
    data = data_of(write(tmp_path, pairs, readers))
    distances = [pair[2] for pair in data["pairs"]]
    assert distances == [round(position / 100, 4) for position in range(9, -1, -1)]
    sources = [data["images"][pair[0]][1] for pair in data["pairs"]]
    assert (
        sources == [name.replace("\udce9", "\N{REPLACEMENT CHARACTER}") for name in HOSTILE][::-1]
    )


def test_the_page_depends_only_on_the_pairs(tmp_path, pairs, readers):
    first = write(tmp_path, pairs, readers).read_bytes()
    random.Random(0).shuffle(pairs)
    assert write(tmp_path, pairs, readers).read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 1


def test_each_work_item_is_read_once_and_an_unreadable_image_has_no_picture(tmp_path, readers):
    images = [
        image("train", f"{item}/{index}", "", item, index) for item in "ab" for index in (0, 2)
    ]
    pairs = [Pair(each, image("test", "t", "", "c", 1), 0.1, COPY, REMOVED) for each in images]
    data = data_of(write(tmp_path, pairs, readers))
    assert {name: dict(reader.read) for name, reader in readers.items()} == {
        "train": {"a": 1, "b": 1},
        "test": {"c": 1},
        OTHER: {},
    }
    pictures = {row[1]: row[3] >= 0 for row in data["images"]}
    assert pictures == {"a/0": True, "b/0": True, "a/2": False, "b/2": False, "t": True}
    assert "2 of 4 pairs have pictures" in text_of(tmp_path / "pairs.html")


def test_the_number_of_pictures_and_of_rows_is_bounded(tmp_path, readers, monkeypatch):
    pairs = [
        Pair(image("train", f"{i}", "", i), image("test", f"{i}", "", i), i / 100, COPY, "removed")
        for i in range(10)
    ]
    monkeypatch.setattr(page, "MAX_ROWS", 8)
    monkeypatch.setattr(previews, "MAX_READ", 5)  # two images for each pair
    data = data_of(write(tmp_path, pairs, readers, listing="pairs.csv"))
    assert [pair[2] for pair in data["pairs"]] == [i / 100 for i in range(9, 1, -1)]
    assert sum(row[3] >= 0 for row in data["images"]) == 4
    text = text_of(tmp_path / "pairs.html")
    assert "The 2 most certain of 10 pairs are left out; pairs.csv lists all." in text
    assert "2 of 8 pairs have pictures" in text
    monkeypatch.setattr(previews, "MAX_READ", 1000)
    monkeypatch.setattr(previews, "MAX_BYTES", 3 * 4 * len(data["pictures"][0]) // 2)
    pictures = data_of(write(tmp_path, pairs, readers))["pictures"]
    assert 4 <= len(pictures) < 16 and sum(map(len, pictures)) <= previews.MAX_BYTES
    monkeypatch.setattr(page, "MAX_ROW_BYTES", 220)  # 60, and four texts of two or three bytes
    assert len(data_of(write(tmp_path, pairs, readers))["pairs"]) == 3
    hostile = [dataclasses.replace(pair, image=image("train", "<" * 10)) for pair in pairs]
    assert len(data_of(write(tmp_path, hostile, readers))["pairs"]) == 1  # each becomes \\u003c


def test_an_image_with_pairs_that_are_left_out_is_marked(tmp_path, readers, monkeypatch):
    first, second = image("train", "a"), image("train", "b")
    pairs = [
        Pair(first, image("test", "x"), 0.1, COPY, "removed"),
        Pair(second, image("test", "y"), 0.1, COPY, "removed"),
        Pair(first, image("test", "z"), 0.0, EXACT, "removed"),
    ]
    monkeypatch.setattr(page, "MAX_ROWS", 2)
    data = data_of(write(tmp_path, pairs, readers))
    assert {data["images"][pair[0]][1]: pair[6] for pair in data["pairs"]} == {"a": 1, "b": 0}


def test_the_table_counts_the_leaked_images_of_each_set(tmp_path, readers):
    test_image = image("test", "t")
    pairs = [Pair(image("train", name), test_image, 0.1, COPY, "removed") for name in "abc"]
    pairs.append(Pair(image("train", "d"), image(OTHER, "o"), 0.1, COPY, "removed"))
    pairs.append(Pair(image("train", "e"), image(OTHER, "p"), 0.1, COPY, KEPT_LISTED))
    pairs.append(Pair(image("eval", "v"), image("test", "w"), 0.1, COPY, "removed"))
    readers["eval"] = readers["test"]
    rows = re.findall(r"<tr><th scope=row>(.*?)</th>(.*)", text_of(write(tmp_path, pairs, readers)))
    cells = {name: re.findall("<td>(.*?)</td>", row) for name, row in rows}
    assert cells == {
        "<bdi>train</bdi> (within)": ["1,000", "2", "0", "–", "–"],
        "<bdi>test</bdi>": ["50", "0", "4", "≥ 1", "≥ 2.00%"],
        "<bdi>folder:/other &lt;sets&gt;</bdi>": ["40", "0", "2", "≥ 1", "≥ 2.50%"],
    }
    summary = summarize(pairs, leaked={"test": 7, OTHER: 0})
    page.write(str(tmp_path), summary, pairs, readers)
    assert "<td>7</td><td>14.00%</td>" in text_of(tmp_path / "pairs.html")


@pytest.mark.parametrize(
    ("decisions", "words"),
    [
        ([], "No duplicates were found, and nothing was removed."),
        (["only reported"], "1 training image has a duplicate: 1 only reported. Nothing was remov"),
        (
            ["removed", "kept because listed", "removed"],
            "3 training images have a duplicate: 2 removed, 1 kept because listed.<",
        ),
    ],
)
def test_the_page_says_in_plain_words_what_was_removed(decisions, words, tmp_path, readers):
    pairs = [
        Pair(image("train", f"{i}"), image("test", "t"), 0, EXACT, decision)
        for i, decision in enumerate(decisions)
    ]
    assert words in text_of(write(tmp_path, pairs, readers))


def test_removals_become_pairs_with_what_was_done():
    match = Match(image("train", "a", "cat"), image("test", "b", "dog"), 0.1, COPY)
    removals = [
        Removal(match, ("test",)),
        Removal(match, ("test",), labels_differ=True),
        Removal(match, ("test",), listed=True),
    ]
    decisions = [[*PairsOf(removals, DeduplicationOptions(mode=m))] for m in ("remove", "report")]
    assert [[pair.decision for pair in found] for found in decisions] == [
        ["removed", "kept because labels differ", "kept because listed"],
        ["only reported", "kept because labels differ", "kept because listed"],
    ]
    assert [pair.labels_differ for pair in decisions[0]] == [False, True, False]


def test_equal_bytes_with_different_labels_are_listed_apart(tmp_path, readers, monkeypatch):
    conflict = (LabeledImage("test", "<a>", "cat"), LabeledImage("train", "b", "<dog>"))
    text = text_of(write(tmp_path, [], readers, [conflict]))
    assert "2 images with equal bytes and different labels." in text
    assert "<b><bdi>&lt;dog&gt;</bdi></b> in <bdi>train</bdi>" in text and "<a>" not in text
    monkeypatch.setattr(conflicts_part, "_MAX_GROUPS", 1)
    text = text_of(write(tmp_path, [], readers, [conflict, conflict]))
    assert "1 more groups are listed in label_conflicts.jsonl" in text
    many = tuple(LabeledImage("train", f"{number}", "cat") for number in range(25))
    assert "<li>and 5 more</li>" in text_of(write(tmp_path, [], readers, [many]))


def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path, pairs, readers):
    text = text_of(write(tmp_path, pairs, readers, file_name="report.html"))
    assert not re.findall(r"https?://", text)
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy


def shown_sources(browser) -> list[str]:
    """The paths of the training images that pass the filters, in order."""
    return browser.run("return state.shown.map((pair) => imageOf(pair, 0)[1])")


def choose(browser, selector: str, value: str) -> None:
    browser.run(
        "const select = document.getElementById(arguments[0]); select.value = arguments[1];"
        "select.dispatchEvent(new Event('change'));",
        *(selector, value),
    )


def exported(browser, folder: pathlib.Path) -> pathlib.Path:
    """The file that the button downloads."""
    folder.mkdir(exist_ok=True)
    parameters = {"behavior": "allow", "downloadPath": str(folder)}
    command = {"cmd": "Browser.setDownloadBehavior", "params": parameters}
    browser.call("POST", "/goog/cdp/execute", command)
    path = folder / "keep-duplicates.txt"
    path.unlink(missing_ok=True)
    browser.run("document.getElementById('export').click()")
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.05)
    return path


@needs_browser
def test_names_are_text_whatever_they_contain(browser, tmp_path, pairs, readers):
    browser.open(write(tmp_path, pairs, readers).as_uri())
    for name in HOSTILE[:-1][::-1]:
        shown = name.replace("\udce9", "\N{REPLACEMENT CHARACTER}")
        texts = browser.run(
            "return [...document.querySelectorAll('#images .path, #images .class')]"
            ".map((each) => each.textContent)"
        )
        assert texts == [f"class {shown}", shown, f"class {shown}", f"other {shown}"]
        browser.press("j")
    assert browser.run("return window.hacked === undefined")
    assert browser.errors() == []


@needs_browser
def test_filters_and_tabs_select_pairs(browser, tmp_path, pairs, readers):
    browser.open(write(tmp_path, pairs, readers).as_uri())
    assert browser.run("return document.getElementById('tab-duplicates').innerText") == (
        "Duplicates (9)"
    )
    assert len(shown_sources(browser)) == 9
    choose(browser, "by-set", OTHER)
    assert shown_sources(browser) == [HOSTILE[i].replace("\udce9", "�") for i in (7, 5, 3, 1)]
    choose(browser, "by-decision", "kept because listed")
    assert shown_sources(browser) == [HOSTILE[7]]
    choose(browser, "by-set", "")
    choose(browser, "by-decision", "")
    choose(browser, "by-class", f"class {HOSTILE[0]}")
    assert shown_sources(browser) == [HOSTILE[0]]
    choose(browser, "by-class", "")
    choose(browser, "order", "-")
    assert shown_sources(browser)[:2] == HOSTILE[:2]
    browser.run("document.getElementById('tab-labels').click()")
    assert shown_sources(browser) == HOSTILE[-1:]
    browser.wait_for_text("#about", "different labels: one label is wrong")


@needs_browser
def test_verdicts_by_keyboard_are_kept_and_read_back_as_a_list(browser, tmp_path, pairs, readers):
    address = write(tmp_path, pairs, readers).as_uri()
    browser.open(address)
    for key in "yjnnnnnkuynn":
        browser.press(key)
    # From the least certain: y, skipped, n × 5 (the last is taken back, and then y), n, n.
    verdicts = browser.run("return state.shown.map(verdictOf).join('')")
    assert verdicts == "yunnnnynn"
    browser.open(address)  # The browser has kept them.
    assert browser.run("return state.shown.map(verdictOf).join('')") == verdicts
    saved = exported(browser, tmp_path / "downloads")
    order = [name.replace("\udce9", "�") for name in HOSTILE[-2::-1]]
    expected = {name for name, verdict in zip(order, verdicts, strict=True) if verdict == "n"}
    assert kept_images.read(str(saved)) == expected | {HOSTILE[7]}  # which was listed before
    browser.wait_for_text("#progress", "^8 of 10 pairs judged, 7 images to keep$")


@needs_browser
def test_an_image_is_kept_only_if_none_of_its_pairs_is_a_duplicate(browser, tmp_path, readers):
    one, two = image("train", "one"), image("train", "two")
    pairs = [
        Pair(each, image("test", f"{number}"), distance, COPY, "removed")
        for number, (each, distance) in enumerate([(one, 0.4), (two, 0.3), (one, 0.2)])
    ]
    browser.open(write(tmp_path, pairs, readers).as_uri())
    for key in "nny":
        browser.press(key)
    assert exported(browser, tmp_path / "downloads").read_text().split("\n")[1:] == ["two", ""]
    browser.wait_for_text("#progress", "1 image to keep; 1 image with a “not a duplicate” not kept")
    browser.press("n")  # on the last pair again
    saved = exported(browser, tmp_path / "downloads").read_text()
    assert saved.split("\n")[1:] == ["one", "two", ""]


@needs_browser
def test_pairs_of_evaluation_images_can_be_filtered(browser, tmp_path, readers):
    pairs = [
        Pair(image(name, f"{name} {i}"), image("test", "t"), 0.1, COPY, "removed")
        for i, name in enumerate(["train", "eval", "train"])
    ]
    browser.open(write(tmp_path, pairs, {**readers, "eval": readers["test"]}).as_uri())
    summary = browser.run("return document.getElementById('summary').innerText")
    assert "2 training images have a duplicate: 2 removed." in summary
    assert "1 image of eval has a duplicate: 1 removed." in summary
    choose(browser, "by-image-set", "eval")
    assert shown_sources(browser) == ["eval 1"]


@needs_browser
def test_the_help_opens_by_key_and_nothing_found_is_said(browser, tmp_path, pairs, readers):
    browser.open(write(tmp_path, pairs, readers).as_uri())
    browser.press("?")
    assert browser.run("return document.getElementById('help').open")
    browser.open(write(tmp_path, [], readers).as_uri())
    text = browser.run("return document.body.innerText")
    assert "No duplicates were found, and nothing was removed." in text
    assert "Class" not in text and browser.errors() == []


@pytest.mark.slow
@needs_browser
def test_ten_thousand_pairs_stay_responsive(browser, tmp_path, encoded):
    def reader(work_item):
        yield from [ImageRecord(encoded[work_item % 2], "PNG", 0, "", "", 48, 48)] * 1000

    readers = dict.fromkeys(SETS, reader)
    pairs = [
        Pair(
            image("train", f"/data/train/{i:05}.jpg", f"class {i % 100}", i // 1000, i % 1000),
            image("test", f"/data/test/{i % 1000:05}.jpg", f"class {i % 100}", 0, i % 1000),
            (i * 7919 % 10_000) / 1e5,
            COPY,
            "removed",
        )
        for i in range(10_000)
    ]
    path = write(tmp_path, pairs, readers)
    assert len(data_of(path)["pictures"]) == 11_000
    browser.open(path.as_uri())
    start = time.monotonic()
    for _ in range(10):
        browser.press("j")
    browser.press("\ue010")  # End
    browser.wait_for_text("#facts", "10,000 of 10,000 pairs")
    assert (time.monotonic() - start) < 10
    assert browser.run("return document.querySelectorAll('.row').length") < 60
    assert browser.run("return document.querySelector('#images img').naturalWidth") == 48
    choose(browser, "by-class", "class 7")
    assert len(shown_sources(browser)) == 100
    took = "const start = performance.now(); refresh(0); return performance.now() - start"
    assert browser.run(took) < 1000
