# SPDX-License-Identifier: Apache-2.0
"""The CSV of all predictions: its columns, cells that are no formulas, and no half-written file."""

import csv

import pytest

from mixer_tf.evaluation import predictions_table
from mixer_tf.evaluation.classification import LabeledPrediction


def test_rows_of_two_models_an_unknown_class_and_an_unusable_image(tmp_path):
    path = tmp_path / "a.csv"
    with predictions_table.writing(str(path), ["m", "=1+1"], 2, with_real=True) as table:
        top = (("=cat", 0.75), ("dog,\n猫", 0.25))
        table.add(0, LabeledPrediction("a.png", "=cat", "=cat", 0.75, 1, 0.75, top), real=True)
        table.add(
            1, LabeledPrediction("a.png", "horse", "=cat", 0.75, None, None, top[:1]), real=None
        )
        table.add_unusable("-b.png", "empty file")
        assert not path.exists()
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [
        *("model", "image", "class_name", "correct", "rank", "class_probability"),
        *("predicted", "probability", "predicted_2", "probability_2", "real", "error"),
    ]
    assert rows == [
        ["m", "a.png", "'=cat", "1", "1", "0.75", "'=cat", "0.75", "dog,\n猫", "0.25", "1", ""],
        ["'=1+1", "a.png", "horse", "0", "", "", "'=cat", "0.75", "", "", "", ""],
        ["", "'-b.png", *[""] * 9, "empty file"],
    ]


def test_a_failed_evaluation_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), predictions_table.writing(str(path), ["m"], 1):
        raise RuntimeError
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.txt", "--csv must be a file that ends in .csv"),
        ("none/a.csv", "must be in a folder that exists"),
        ("folder.csv", "must be a file; got the folder"),
    ],
)
def test_paths_are_checked(tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=message):
        predictions_table.require_writable("--csv", str(tmp_path / name), ".csv")
