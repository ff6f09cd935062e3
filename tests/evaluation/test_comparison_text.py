# SPDX-License-Identifier: Apache-2.0
"""The tables of several models."""

import dataclasses
import json
import types

from mixer_tf.evaluation import comparison_text
from mixer_tf.evaluation.classification import LabeledPrediction, Scores
from mixer_tf.evaluation.comparison import compare
from mixer_tf.evaluation.labeled_predictions import LabeledPredictions
from mixer_tf.evaluation.real_labels import RealLabels, RealScores
from mixer_tf.evaluation.report import Report

RIGHT = {"old": [True] * 40 + [False] * 10, "new": [True] * 50, "\x1b[31m": [True] * 49 + [False]}


def make_report(right, kept: LabeledPredictions) -> Report:
    scores = Scores()
    for index, is_right in enumerate(right):
        prediction = LabeledPrediction(
            f"{index}", "cat", "cat" if is_right else "dog", 0.9, 2 - is_right
        )
        scores.add(prediction)
        kept.add(prediction)
    model = types.SimpleNamespace(model_dir="m", class_names=("cat", "dog"))
    return Report(model, "folder:pets", ["test"], scores, kept, (), 1.0, 2, None, ("a remark",))


def test_text_has_a_row_for_each_model_and_each_pair():
    comparisons = compare(RIGHT, RIGHT)
    reports = [make_report(right, LabeledPredictions(0)) for right in RIGHT.values()]
    text = comparison_text.to_text(reports, list(RIGHT), comparisons)
    lines = text.splitlines()
    assert lines[0] == "images   50: test of folder:pets"
    assert "note     old: a remark" in lines
    start = next(i for i, line in enumerate(lines) if line.startswith("model"))
    assert lines[start].split() == ["model", "top-1", "ECE"]
    assert [line.split()[:2] for line in lines[start + 1 : start + 4]] == [
        ["old", "0.8000"],
        ["new", "1.0000"],
        ["\\x1b[31m", "0.9800"],
    ]
    first, second, third = (line.split() for line in lines[start + 6 : start + 9])
    # 2 * 0.5 ** 10 = 0.00195 and 2 * 0.5 ** 9 = 0.0039, times 3 and 2 by Holm's rule.
    assert (first[:3], first[-5:]) == (["old", "new", "+0.2000"], ["0", "10", "10", "0.00586", "*"])
    assert (second[2], second[-2:]) == ("+0.1800", ["0.00781", "*"])
    assert (third[:3], third[-1]) == (["new", "\\x1b[31m", "-0.0200"], "1")
    assert "after Holm's correction for 3 pairs" in text


def test_text_lists_unusable_images_once_and_the_notes_of_real():
    real = RealScores(RealLabels([frozenset({1})] * 3), {"cat": 1, "dog": 2})
    real.add("ILSVRC2012_val_00000001.JPEG", "cat")
    more = {"problems": [("a.png", "empty file")], "real": real}
    right = {name: RIGHT[name] for name in ("old", "new")}
    reports = [
        dataclasses.replace(make_report(each, LabeledPredictions(0)), **more)
        for each in right.values()
    ]
    text = comparison_text.to_text(reports, list(right), compare(right, right))
    assert text.endswith("\n\n1 images cannot be used and were left out:\n  a.png: empty file")
    assert text.count("a.png") == 1
    note = "ReaL accuracy is that of 1 of the 3 labeled validation images"
    assert all(f"\nnote     {name}: {note}\n" in text for name in right)


def test_json_has_each_model_as_if_it_were_alone():
    with LabeledPredictions(0, keep_all=True) as old, LabeledPredictions(0, keep_all=True) as new:
        reports = [make_report(RIGHT["old"], old), make_report(RIGHT["new"], new)]
        right = {name: RIGHT[name] for name in ("old", "new")}
        lines = list(comparison_text.to_json(reports, compare(right, right)))
        alone = json.loads("\n".join(reports[1].to_json()))
    found = json.loads("\n".join(lines))
    assert found["models"][1] == alone and len(found["models"]) == 2
    assert found["comparisons"][0]["only_second"] == 10
    assert sum('"correct": false' in line for line in lines) == 10
