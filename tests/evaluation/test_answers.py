# SPDX-License-Identifier: Apache-2.0
"""All answers as JSON lines, and the most confident mistakes, in bounded memory."""

import dataclasses
import json
import random

import pytest

from mixer_tf.evaluation import answers, report
from mixer_tf.evaluation.answers import Answers
from mixer_tf.evaluation.classification import Answer, Scores
from mixer_tf.evaluation.report import Report


class Model:
    model_dir = "runs/model"
    class_names = ("cat", "dog")


@pytest.fixture(scope="module")
def many() -> list[Answer]:
    """200 answers; every third one is wrong."""
    generator = random.Random(0)
    return [
        Answer(f"pets/été {n}.jpg", "cat", "cat" if n % 3 else "dog", generator.random())
        for n in range(200)
    ]


def make_report(many, kept: Answers, problems=()) -> Report:
    scores = Scores()
    for answer in many:
        scores.add(answer.class_name, [answer.predicted])
        kept.add(answer)
    return Report(Model, "folder:pets", ["test"], scores, kept, problems, 1.0)


@pytest.mark.parametrize("in_memory", [1, 2**24], ids=["file", "memory"])
def test_json_is_one_object_with_a_line_for_each_image(many, monkeypatch, in_memory):
    monkeypatch.setattr(answers, "_IN_MEMORY", in_memory)
    with Answers(3, keep_all=True) as kept:
        lines = list(make_report(many, kept, [("a.jpg", "empty file")]).to_json())
    found = json.loads("\n".join(lines))
    assert (found["images"], found["unusable"]) == (200, {"a.jpg": "empty file"})
    assert found["top_1"] == pytest.approx(133 / 200)
    assert list(found)[-1] == "answers"
    for answer, line in zip(many, found["answers"], strict=True):
        assert line == {
            "image": answer.image,
            "class_name": "cat",
            "predicted": answer.predicted,
            "probability": answer.probability,
            "correct": answer.predicted == "cat",
        }
    wrong = [line for line in lines if '"correct": false' in line]
    assert len(wrong) == 67
    assert json.loads(wrong[0].strip().rstrip(","))["image"] == "pets/été 0.jpg"


def test_the_worst_mistakes_are_the_most_confident(many):
    kept = Answers(10)
    for answer in many:
        kept.add(answer)
    wrong = [answer for answer in many if answer.predicted != "cat"]
    assert kept.worst() == sorted(wrong, key=lambda answer: -answer.probability)[:10]
    assert list(kept.lines()) == []


def test_of_equally_confident_mistakes_the_first_are_kept():
    kept = Answers(2)
    for name in "abc":
        kept.add(Answer(name, "cat", "dog", 1.0))
    assert [answer.image for answer in kept.worst()] == ["a", "b"]


def test_text_names_the_worst_mistakes(many):
    text = make_report(many, Answers(report.MAX_MISTAKES)).to_text()
    _, title, table = text.partition("\nthe 10 most confident of 67 mistakes; --json lists all:")
    assert title
    rows = [line.split(maxsplit=3) for line in table.splitlines()[1:]]
    assert rows[0] == ["class", "answer", "probability", "image"]
    assert len(rows) == 11
    assert {tuple(row[:2]) for row in rows[1:]} == {("cat", "dog")}
    assert rows[1][3].startswith("pets/été ")


@pytest.mark.parametrize(("splits", "where"), [(["eval"], "the eval split"), ("ab", "all splits")])
def test_signs_of_a_model_that_has_learned_nothing_are_in_both_forms(splits, where):
    always_cat = [Answer("a", "cat", "cat", 1.0)] * 20 + [Answer("b", "dog", "cat", 1.0)]
    with Answers(1, keep_all=True) as kept:
        made = dataclasses.replace(make_report(always_cat, kept), splits=splits)
        found = json.loads("\n".join(made.to_json()))
        text = made.to_text()
    first, second = found["warnings"]
    assert first == f"the model answered 'cat' for all 21 images of {where}"
    assert second.startswith("accuracy 0.9524 is not above 0.9524, which always answering 'cat'")
    few, never = found["notes"]
    assert few.startswith(f"only 21 images in {where}:")
    assert never == f"classes never recognized in {where}: 'dog' (0 of 1)"
    for label, line in [("WARNING ", first), ("note    ", never)]:
        assert f"\n{label} {line}\n" in text


@pytest.mark.parametrize(("number", "title"), [(1, "1 mistake,"), (3, "3 mistakes,")])
def test_text_with_few_mistakes_lists_them_all(number, title):
    wrong = [Answer(f"{index}", "cat", "dog", 0.9) for index in range(number)]
    text = make_report(wrong, Answers(report.MAX_MISTAKES)).to_text()
    assert f"\n\n{title} the most confident first:\nclass " in text


def test_text_without_a_mistake_lists_none():
    text = make_report([Answer("a", "cat", "cat", 1.0)], Answers(3)).to_text()
    assert "most confident" not in text
