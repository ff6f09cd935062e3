# SPDX-License-Identifier: Apache-2.0
"""The card of a model: its front matter is YAML, its text is text, and it hides no weakness."""

import dataclasses

import pytest

from mixer_tf.reports import facts, model_card
from mixer_tf.reports.facts import PIPELINE, RunFacts

yaml = pytest.importorskip("yaml")


def front_matter(card: str) -> dict:
    start, matter, _ = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(matter)


def test_the_front_matter_has_the_figures_as_hugging_face_reads_them(full):
    found = front_matter(model_card.render(full))
    assert found["pipeline_tag"] == "image-classification"
    (index,) = found["model-index"]
    (result,) = index["results"]
    assert index["name"] == "pets" and result["task"] == {"type": "image-classification"}
    assert result["dataset"]["name"] == full.data.source and result["dataset"]["split"] == "test"
    assert result["metrics"] == [{"type": "accuracy", "value": 0.875}]


def test_several_splits_are_one_value_of_the_front_matter(full):
    evaluation = dataclasses.replace(full.evaluation, split="train, eval, test")
    found = front_matter(model_card.render(dataclasses.replace(full, evaluation=evaluation)))
    (result,) = found["model-index"][0]["results"]
    assert set(result["dataset"]) == {"name", "type", "split"}
    assert result["dataset"]["split"] == "train, eval, test"


def test_names_are_text_whatever_they_hold(full):
    names = ("a|b", "*bold*", "[x](http://y)", "two\nlines", "日本 😀", "\x1b[31m", 'q"\\')
    data = dataclasses.replace(full.data, class_names=names, source="csv:/a: b\n- c.csv")
    classes = {name: (40, 4) for name in names}
    evaluation = dataclasses.replace(full.evaluation, classes=classes)
    run = dataclasses.replace(full, name="x: [y]\n---", data=data, evaluation=evaluation)
    card = model_card.render(run)
    assert front_matter(card)["model-index"][0]["name"] == "x: [y]\\n---"
    text = card.split("---\n", 2)[2]
    assert r"| a\|b | 40 | 0.1000 |" in text and r"\*bold\*" in text and r"\[x\](http" in text
    assert "日本 😀" in text and "\x1b" not in text and "two\\\\nlines" in text
    assert "<img" not in model_card.render(full) and "&lt;img" in model_card.render(full)


def test_the_limits_are_those_of_the_facts(full):
    card = model_card.render(full)
    for words in (
        "- training" not in card and "- train: 1,203 images",
        "- unusable images, left out: 2",
        "- near-duplicates, removed: 7",
        "| training.epochs | 40 | 3 |",
        "On the test split, 104 images:",
        "| with a duplicate in training | 10 | 1.0000 |",
        "| cat | 100 | 0.9000 |",
        "- the model predicted 'cat' for all images",
    ):
        assert words in card, words
    assert "rough estimates" not in card and "chosen the epoch" not in card


def test_a_few_images_and_the_evaluation_split_are_named_as_limits(full):
    data = dataclasses.replace(full.data, counts={"train": {"cat": 9}, "eval": {"cat": 12}})
    card = model_card.render(dataclasses.replace(full, evaluation=None, data=data))
    assert "On the eval split, 12 images" in card and "| top-1 accuracy | 0.5000 |" in card
    assert "With 12 images, the figures are rough estimates." in card
    assert "has also chosen the epoch" in card


def test_a_model_of_which_nothing_is_known_says_so():
    card = model_card.render(RunFacts(PIPELINE, "n", "/r", written=facts.utc(0)))
    assert "Nothing measures this model" in card and "on 1970-01-01" in card
    assert "model-index" not in front_matter(card)
