# SPDX-License-Identifier: Apache-2.0
"""The page of a run: what it says, what it says of missing steps, and itself in a real browser."""

import base64
import dataclasses
import pathlib
import re

import pytest
from webdriver import needs_browser, open_browser

from mixer_tf.cli.report import report
from mixer_tf.cli.runs import runs
from mixer_tf.reports import page
from mixer_tf.reports.facts import FAILED, PIPELINE, TRAINING, UNFINISHED, RunFacts
from mixer_tf.reports.mistake_facts import MAX_MISTAKES


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        browser.call("POST", "/window/rect", {"width": 1300, "height": 1000})
        yield browser


def open_page(browser, tmp_path, facts: RunFacts) -> str:
    path = page.write_page(str(tmp_path / "a page.html"), facts)
    browser.open(f"file://{path}")
    return " ".join(browser.run("return document.body.innerText").split())


def test_a_run_without_any_step_says_what_is_missing():
    shown = page.render(RunFacts(PIPELINE, "n", "/r", state=FAILED, error="step X failed"))
    for words in (
        "No images were read",
        "The step Preprocessor, which looks at every image, did not run.",
        "Near-duplicates were not searched for",
        "The step ImageStatistics did not run.",
        "The recipe of this run is not known.",
        "Nothing was trained",
        "The step Evaluator did not run.",
        "No gate was reached.",
        "No step has finished.",
        "step X failed",
        "<b class=bad>failed</b>",
    ):
        assert words in shown, words


def test_a_training_has_no_sections_of_the_pipeline():
    shown = page.render(RunFacts(TRAINING, "n", "/r"))
    assert "Near-duplicates" not in shown and "Gates" not in shown and "Lineage" not in shown
    assert "mixer report … --evaluate" in shown


def test_both_files_are_written_and_the_same_run_comes_back(tmp_path, full):
    path = page.write(str(tmp_path / "new"), full)
    assert path == str(tmp_path / "new" / "report.html")
    text = (tmp_path / "new" / "report.json").read_text("utf-8")
    assert RunFacts.from_json(text) == full


def test_the_command_says_that_a_run_has_not_ended(tmp_path, full, mixer):
    unfinished = dataclasses.replace(full, state=UNFINISHED)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "1.json").write_text(unfinished.to_json(), "utf-8")
    result = mixer("report", tmp_path)
    assert result.exit_code == 0, result.output
    assert f"python -m pipeline.report {tmp_path}\n" in result.output
    assert "it still runs, or was killed" in (tmp_path / "report.html").read_text("utf-8")


@needs_browser
def test_the_page_in_a_browser_has_every_section_and_runs_nothing(browser, tmp_path, full):
    shown = open_page(browser, tmp_path, full)
    for words in (
        "1,203 train, 100 test",
        "1,210 train, 100 test",
        "2 images cannot be used",
        "removed 7 train",
        "1 labels differ",
        "training.epochs 40 3",
        "optimizer.learning_rate 0.01",
        "Best top-1 on the evaluation split: 0.5000 after step 60 of 60; 1:15",
        "top-1 accuracy 0.8750",
        "cat 100 90 0.9000",
        "with a duplicate in training 10 1.0000",
        "13 mistakes; the 1 most confident of them",
        "Evaluator not passed accuracy 0.8750, required 0.9000",
        "InfraValidator did not run",
        "Nothing was pushed: the Evaluator did not bless the model",
        "13 Trainer.model Model",
        "few shot",
        "5-shot 0.81",
        "WARNING: the model predicted 'cat' for all images",
    ):
        assert words in shown, words
    hostile = "</script><img src=x onerror=window.hacked=1>"
    assert shown.count(hostile) >= 8  # as text, wherever it may occur
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.querySelectorAll('img').length") == 0
    assert browser.errors() == []


@needs_browser
def test_links_lead_to_the_sections_and_nothing_is_wider_than_the_page(browser, tmp_path, full):
    open_page(browser, tmp_path, full)
    script = "return [...document.querySelectorAll('nav a')].filter(a => {a.click(); return "
    script += "document.querySelector(a.hash) === null}).length"
    assert browser.run(script) == 0
    width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.run(width) <= 0


@needs_browser
def test_thumbnails_and_curves_are_shown(browser, tmp_path, full, make_pixels, encode):
    jpeg = base64.b64encode(encode(make_pixels(1), "JPEG")).decode()
    mistake = dataclasses.replace(full.evaluation.mistakes[0], thumbnail=jpeg)
    evaluation = dataclasses.replace(full.evaluation, mistakes=(mistake,))
    open_page(browser, tmp_path, dataclasses.replace(full, evaluation=evaluation))
    assert browser.run("return document.querySelector('.mistakes img').naturalWidth") == 16
    assert browser.run("return document.querySelectorAll('.plots path').length") == 2
    assert browser.run("return document.querySelector('.plots svg').clientWidth") > 200


def test_the_documentation_has_the_sections_of_the_page(full):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "run_report.md").read_text("utf-8")
    table = text.partition("| Section |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\w[\w -]*?) \|", table, re.MULTILINE) == re.findall(
        r"<h2>(.+?)</h2>", page.render(full)
    )
    assert f"the {MAX_MISTAKES} most confident and the {MAX_MISTAKES} worst" in text
    options = {name for each in (report, runs) for param in each.params for name in param.opts}
    options |= {"--no-report"}
    assert set(re.findall(r"`(--[\w-]+)`", text)) <= options
