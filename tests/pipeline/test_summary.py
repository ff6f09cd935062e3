# SPDX-License-Identifier: Apache-2.0
"""The summary of a run, as JSON and as lines to read."""

import json
import pathlib

from mixer_tf.serving import contract
from pipeline.local.run_outputs import Tuning
from pipeline.local.step import Step
from pipeline.local.summary import Summary


def _summary(**changes) -> Summary:
    fields = {
        "steps": {"ImageExampleGen": Step(2.5, False, 1.5), "Pusher": Step(0.1, True, 0.1)},
        "examples": {"train": 1289, "test": 324},
        "duplicates_removed": 0,
        "unusable": 2,
        "metrics": {"accuracy": 0.97, "example_count": 324.0},
        "pushed_model": None,
        "reason": "version 7, the newest one, is already this model",
        "notes": ("class folder 'x' is empty: left out",),
        "warnings": (),
        "saved_model": "/r/model",
        "quarantine_file": "/r/quarantine.jsonl",
        "statistics_page": "/r/statistics.html",
        "report_dir": "/r/report",
        "tensorboard": "tensorboard --logdir /r/logs",
        "predict": "mixer predict /r/serving IMAGE…",
    }
    return Summary(**{**fields, **changes})


def test_json_holds_seconds_and_cache_of_each_step(tmp_path):
    path = _summary().write(str(tmp_path))
    found = json.loads((tmp_path / "summary.json").read_text())
    assert path == str(tmp_path / "summary.json")
    assert found["steps"]["Pusher"] == {"seconds": 0.1, "cached": True, "overhead": 0.1}
    assert found["pushed_model"] is None
    assert found["metrics"]["accuracy"] == 0.97


def test_overhead_is_a_part_of_the_time():
    first = _summary().lines()[0]
    assert first.endswith("2 in 3 s, 1 from the cache; 2 s of TFX's own (imports, ML Metadata)")


def test_lines_say_in_one_line_why_nothing_was_pushed():
    (line,) = [line for line in _summary().lines() if line.split()[0] == "pushed"]
    assert line.endswith("nothing: version 7, the newest one, is already this model")


def test_lists_are_named():
    text = "\n".join(_summary().lines())
    assert "statistics   /r/statistics.html\n" in text
    assert "2 images, listed in /r/quarantine.jsonl" in text
    assert "0 images removed, pairs in /r/report/pairs.html\n" in text


def test_removals_are_shown_with_the_option_that_keeps_some():
    text = "\n".join(_summary(duplicates_removed=3, unusable=0).lines())
    assert (
        "3 images removed, pairs in /r/report/pairs.html; mark wrong ones there and save the list "
        "for --keep-duplicates=FILE\n"
    ) in text
    assert "/r/quarantine.jsonl" not in text


def test_a_search_shows_what_it_has_chosen_and_where_the_table_is():
    best = {"optimizer.learning_rate": 0.01, "data.mixup": 0.2}
    tuning = Tuning(best, 0.9444, trials=6, failed=1, results="/r/tuner_results.json")
    (line,) = [line for line in _summary(tuning=tuning).lines() if line.split()[0] == "tuned"]
    assert line == (
        "  tuned        optimizer.learning_rate=0.01 data.mixup=0.2, best of 6 trials, 1 failed: "
        "eval top-1 0.9444, listed in /r/tuner_results.json"
    )
    assert not [line for line in _summary().lines() if "tuned" in line]


def test_steps_that_never_ran_are_left_out():
    lines = _summary(metrics={}, unusable=None, duplicates_removed=None).lines()
    assert not {"unusable", "duplicates", "test"} & {line.split()[0] for line in lines}


def test_top_k_of_the_contract_is_shown(monkeypatch):
    monkeypatch.setattr(contract, "TOP_K", 3)
    lines = _summary(metrics={"accuracy": 0.5, "top_3_accuracy": 0.75}).lines()
    (line,) = [line for line in lines if line.startswith("  test split")]
    assert line.split("  ")[-1].strip() == "top-1 0.5000, top-3 0.7500"


def test_a_warning_stands_before_the_notes():
    lines = _summary(warnings=("the model predicted 'cat' for all 206 images",)).lines()
    assert [line.split()[0] for line in lines][-5:] == [
        *("pushed", "WARNING", "note", "curves", "predict")
    ]


def test_a_note_is_one_line_whatever_a_name_contains():
    notes = ("class folder 'a\nb\x1b[31m' is empty: ignored",)
    lines = _summary(notes=notes, saved_model=None).lines()
    assert lines[-1] == "  note         class folder 'a\\nb\\x1b[31m' is empty: ignored"


def test_accuracy_with_and_without_leaked_images_is_shown_where_they_are_marked(tmp_path):
    assert "leaked " not in "\n".join(_summary().lines())
    summary = _summary(leaked={False: (314, 0.9459), True: (10, 1.0)})
    (line,) = [line for line in summary.lines() if line.split()[0] == "leaked"]
    assert line.split(maxsplit=1)[1] == (
        "top-1 1.0000 on 10 test images that have a duplicate in training; "
        "top-1 0.9459 on 314 test images that have none"
    )
    none = _summary(leaked={False: (324, 0.95)}).lines()
    assert any(line.endswith("no test image has a duplicate in training") for line in none)
    summary.write(str(tmp_path))
    assert json.loads((tmp_path / "summary.json").read_text())["leaked"] == {
        "clean": {"example_count": 314, "accuracy": 0.9459},
        "leaked": {"example_count": 10, "accuracy": 1.0},
    }


def test_few_shot_probes_are_shown_with_their_deviation(tmp_path):
    results = (
        {"shots": 1, "mean": 0.5, "standard_deviation": 0.0123},
        {"shots": 5, "mean": 0.75, "standard_deviation": None},
    )
    summary = _summary(few_shot=results)
    (line,) = [line for line in summary.lines() if line.split()[0] == "few-shot"]
    assert line.endswith("1-shot 0.5000 ± 0.0123, 5-shot 0.7500")
    found = json.loads(pathlib.Path(summary.write(str(tmp_path))).read_text("utf-8"))
    assert found["few_shot"] == list(results)
    assert not [line for line in _summary().lines() if "shot" in line]
