# SPDX-License-Identifier: Apache-2.0
"""All predictions as JSON lines, and the most confident mistakes, in bounded memory."""

import dataclasses
import io
import json
import pickle
import random

import numpy as np
import pytest
from PIL import Image

from mixer_tf.evaluation import labeled_predictions, mistakes, report
from mixer_tf.evaluation.classification import LabeledPrediction, Scores
from mixer_tf.evaluation.labeled_predictions import LabeledPredictions
from mixer_tf.evaluation.mistakes import Mistakes
from mixer_tf.evaluation.report import Report
from mixer_tf.features import ImageRecord


class Model:
    model_dir = "runs/model"
    class_names = ("cat", "dog")


@pytest.fixture(scope="module")
def many() -> list[LabeledPrediction]:
    """200 predictions; every third one is wrong."""
    generator = random.Random(0)
    return [
        LabeledPrediction(
            f"pets/été {n}.jpg",
            "cat",
            "cat" if n % 3 else "dog",
            generator.random(),
            1 + (not n % 3),
        )
        for n in range(200)
    ]


def make_report(many, kept: LabeledPredictions, problems=()) -> Report:
    scores = Scores()
    for prediction in many:
        scores.add(prediction)
        kept.add(prediction)
    return Report(Model, "folder:pets", ["test"], scores, kept, problems, 1.0)


@pytest.mark.parametrize("in_memory", [1, 2**24], ids=["file", "memory"])
def test_json_is_one_object_with_a_line_for_each_image(many, monkeypatch, in_memory):
    monkeypatch.setattr(labeled_predictions, "_IN_MEMORY", in_memory)
    with LabeledPredictions(3, keep_all=True) as kept:
        lines = list(make_report(many, kept, [("a.jpg", "empty file")]).to_json())
    found = json.loads("\n".join(lines))
    assert (found["images"], found["unusable"]) == (200, {"a.jpg": "empty file"})
    assert found["top_1"] == pytest.approx(133 / 200)
    assert list(found)[-1] == "predictions"
    for prediction, line in zip(many, found["predictions"], strict=True):
        assert line == {
            "image": prediction.image,
            "class_name": "cat",
            "predicted": prediction.predicted,
            "probability": prediction.probability,
            "rank": prediction.rank,
            "class_probability": None,
            "predictions": [],
            "correct": prediction.predicted == "cat",
        }
    wrong = [line for line in lines if '"correct": false' in line]
    assert len(wrong) == 67
    assert json.loads(wrong[0].strip().rstrip(","))["image"] == "pets/été 0.jpg"


def test_json_counts_unusable_images_that_share_an_id(many):
    problems = [("a", "empty file"), ("a", "no image"), ("b", "empty file"), ("a", "empty file")]
    with LabeledPredictions(0, keep_all=True) as kept:
        found = json.loads("\n".join(make_report(many, kept, problems).to_json()))
    assert found["num_unusable"] == 4
    assert found["unusable"] == {"a": "empty file; no image", "b": "empty file"}


def test_the_worst_mistakes_are_the_most_confident(many):
    kept = LabeledPredictions(10)
    for prediction in many:
        kept.add(prediction)
    wrong = [prediction for prediction in many if prediction.predicted != "cat"]
    found = [mistake.prediction for mistake in kept.mistakes.most_confident()]
    assert found == sorted(wrong, key=lambda prediction: -prediction.probability)[:10]
    assert kept.mistakes.worst() == []
    assert list(kept.lines()) == []


def test_of_equally_confident_mistakes_the_first_are_kept():
    kept = LabeledPredictions(2)
    for name in "abc":
        kept.add(LabeledPrediction(name, "cat", "dog", 1.0))
    assert [mistake.prediction.image for mistake in kept.mistakes.most_confident()] == ["a", "b"]


def test_mistakes_of_parts_are_merged_in_any_order():
    """As Beam does it: accumulators are pickled, and equal mistakes are told apart by a name."""
    generator = random.Random(1)
    shares = [generator.randrange(50) / 100 for _ in range(400)]  # with many equal ones
    wrong = [LabeledPrediction(f"{n:03d}", "cat", "dog", 1 - p, 2, p) for n, p in enumerate(shares)]
    generator.shuffle(wrong)
    parts = [Mistakes(20) for _ in range(7)]
    for number, prediction in enumerate(wrong):
        parts[number % 7].add(prediction, prediction.image)
    merged = Mistakes(20)
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(part)))
    expected = sorted(
        wrong, key=lambda prediction: (prediction.class_probability, prediction.image)
    )[:20]
    assert [each.prediction for each in merged.worst()] == expected
    assert [each.prediction for each in merged.most_confident()] == expected


def test_previews_are_kept_of_the_mistakes_with_the_highest_loss_too(encode, make_pixels):
    kept = LabeledPredictions(2, with_previews=True)
    for index, share in enumerate([0.2, 0.0, 0.1, 0.3]):
        record = ImageRecord(encode(make_pixels(index, 20, 400), "PNG"), "PNG", 0, "", "", 400, 20)
        kept.add(LabeledPrediction(f"{index}", "cat", "dog", 0.5 + share, 2, share), record)
    kept.add(LabeledPrediction("right", "cat", "cat", 0.9, 1, 0.9), None)
    kept.add(LabeledPrediction("unknown", "horse", "dog", 1.0), None)
    assert [each.prediction.image for each in kept.mistakes.most_confident()] == ["unknown", "3"]
    assert [each.prediction.image for each in kept.mistakes.worst()] == ["1", "2"]
    image = Image.open(io.BytesIO(kept.mistakes.worst()[0].preview))
    assert image.size == (mistakes.PREVIEW_SIDE, 8)
    expected = np.asarray(Image.fromarray(make_pixels(1, 20, 400)).resize((160, 8))).astype(float)
    assert np.abs(np.asarray(image) - expected).mean() < 12  # a JPEG of that image


def test_predictions_in_json_are_as_those_of_predict():
    top = (("cat", 0.5), ("dog", 0.25))
    with LabeledPredictions(0, keep_all=True) as kept:
        kept.add(LabeledPrediction("a.png", "dog", "cat", 0.5, 2, 0.25, top), real=None)
        (line,) = map(json.loads, kept.lines())
    assert line["predictions"] == [
        {"class_name": "cat", "probability": 0.5},
        {"class_name": "dog", "probability": 0.25},
    ]
    assert (line["rank"], line["class_probability"], line["real"]) == (2, 0.25, None)


def test_text_names_the_worst_mistakes(many):
    text = make_report(many, LabeledPredictions(report.MAX_MISTAKES)).to_text()
    _, title, table = text.partition("\nthe 10 most confident of 67 mistakes; --json lists all:")
    assert title
    rows = [line.split(maxsplit=3) for line in table.splitlines()[1:]]
    assert rows[0] == ["class", "prediction", "probability", "image"]
    assert len(rows) == 11
    assert {tuple(row[:2]) for row in rows[1:]} == {("cat", "dog")}
    assert rows[1][3].startswith("pets/été ")


@pytest.mark.parametrize(("splits", "where"), [(["eval"], "the eval split"), ("ab", "all splits")])
def test_signs_of_a_model_that_has_learned_nothing_are_in_both_forms(splits, where):
    always_cat = [LabeledPrediction("a", "cat", "cat", 1.0)] * 20 + [
        LabeledPrediction("b", "dog", "cat", 1.0)
    ]
    with LabeledPredictions(1, keep_all=True) as kept:
        made = dataclasses.replace(make_report(always_cat, kept), splits=splits)
        found = json.loads("\n".join(made.to_json()))
        text = made.to_text()
    first, second = found["warnings"]
    assert first == f"the model predicted 'cat' for all 21 images of {where}"
    assert second.startswith("accuracy 0.9524 is not above 0.9524, which always predicting 'cat'")
    few, never = found["notes"]
    assert few.startswith(f"only 21 images in {where}:")
    assert never == f"classes never recognized in {where}: 'dog' (0 of 1)"
    for label, line in [("WARNING ", first), ("note    ", never)]:
        assert f"\n{label} {line}\n" in text


@pytest.mark.parametrize(("number", "title"), [(1, "1 mistake,"), (3, "3 mistakes,")])
def test_text_with_few_mistakes_lists_them_all(number, title):
    wrong = [LabeledPrediction(f"{index}", "cat", "dog", 0.9) for index in range(number)]
    text = make_report(wrong, LabeledPredictions(report.MAX_MISTAKES)).to_text()
    assert f"\n\n{title} the most confident first:\nclass " in text


def test_text_shows_control_characters_of_unusable_images_as_in_python(many):
    problems = [("a\x1b[2J.jpg", "the class '\x1b[31m' is unknown")]
    text = make_report(many, LabeledPredictions(0), problems).to_text()
    assert text.endswith("\n  a\\x1b[2J.jpg: the class '\\x1b[31m' is unknown")


def test_text_without_a_mistake_lists_none():
    text = make_report([LabeledPrediction("a", "cat", "cat", 1.0)], LabeledPredictions(3)).to_text()
    assert "most confident" not in text


@pytest.mark.parametrize("number", [3, 11])
def test_text_has_the_confusion_matrix_or_the_most_frequent_confusions(number):
    class Named(Model):
        class_names = tuple(f"class {index}" for index in range(number))

    scores, kept = Scores(), LabeledPredictions(0)
    for index, name in enumerate(Named.class_names):
        for _ in range(index + 1):
            scores.add(LabeledPrediction("a", name, Named.class_names[(index + 1) % number], 0.5))
        scores.add(LabeledPrediction("a", name, name, 0.5))
    text = Report(Named, "folder:pets", ["test"], scores, kept, (), 1.0).to_text()
    if number == 3:
        _, _, table = text.partition("\nimages by true class and prediction:\n")
        rows = [line.split("  ") for line in table.splitlines()[:4]]
        assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
            ["true class", "class 0", "class 1", "class 2"],
            ["class 0", "1", "1", "0"],
            ["class 1", "0", "1", "2"],
            ["class 2", "3", "0", "1"],
        ]
    else:
        _, _, table = text.partition("\nthe 10 most frequent of 11 confusions; --json has all:\n")
        assert table.splitlines()[1].split() == ["class", "10", "class", "0", "11"]
        assert len(table.splitlines()[1:11]) == 10 and "images by true class" not in text


def test_json_has_the_whole_confusion_matrix_and_the_calibration(many):
    with LabeledPredictions(0, keep_all=True) as kept:
        found = json.loads("\n".join(make_report(many, kept).to_json()))
    assert found["confusion"] == {"cat": {"cat": 133, "dog": 67}}
    assert sum(each["images"] for each in found["calibration"]["bins"]) == 200
    assert 0 < found["calibration"]["ece"] < 1
