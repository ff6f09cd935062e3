# SPDX-License-Identifier: Apache-2.0
"""The means of VTAB: by hand, and never called VTAB-1k when a task is missing."""

import json

import pytest

from mixer_tf.evaluation.vtab.report import VtabReport
from mixer_tf.evaluation.vtab.tasks import TASKS


def result(task, *accuracies: float) -> dict:
    return {
        "task": task.name,
        "group": task.group,
        "accuracies": list(accuracies),
        "mean": sum(accuracies) / len(accuracies),
        "test_images": 1880,
        "chosen": {"learning_rate": 0.01, "steps": 2500},
    }


def test_all_tasks_give_the_means_of_the_groups_and_vtab_1k():
    values = [index / 20 for index in range(19)]
    results = [result(t, v, v + 0.02) for t, v in zip(TASKS, values, strict=True)]
    report = VtabReport(results, {}, {})
    natural, specialized, structured, overall = report.means()
    assert natural.mean == pytest.approx(sum(values[:7]) / 7 + 0.01)
    assert specialized.mean == pytest.approx(sum(values[7:11]) / 4 + 0.01)
    assert structured.mean == pytest.approx(sum(values[11:]) / 8 + 0.01)
    assert overall.mean == pytest.approx(sum(values) / 19 + 0.01)
    assert overall.deviation == pytest.approx(0.02 / 2**0.5)
    assert (overall.title, overall.is_complete) == ("VTAB-1k", True)
    assert report.notes() == []
    text = report.to_text()
    assert "\nVTAB-1k (19 tasks)" in text and "\nnatural (7 tasks)" in text


def test_a_mean_of_fewer_tasks_has_another_name():
    results = [result(task, 0.5) for task in TASKS[1:]]
    report = VtabReport(results, {"caltech101": "caltech101 is not prepared. mixer data …"}, {})
    overall = report.means()[-1]
    assert (overall.title, overall.is_complete, overall.deviation) == (
        "mean of 18 tasks",
        False,
        None,
    )
    assert report.notes() == [
        "skipped caltech101: caltech101 is not prepared. mixer data …",
        "the mean is not VTAB-1k, which has 19 tasks; not measured: caltech101",
    ]
    text = report.to_text()
    assert "VTAB-1k (" not in text and "natural (6 of 7 tasks)" in text
    assert "\nmean of 18 tasks  " in text
    found = json.loads(report.to_json())
    noted = {**results[0], "notes": ["the warmup is 125 steps long"]}
    assert f"{TASKS[1].name}: the warmup is 125 steps long" in VtabReport([noted], {}, {}).notes()
    assert [mean["complete"] for mean in found["means"]] == [False, True, True, False]
