# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions: the same rows in CSV and Parquet, complete or not there."""

import csv
import importlib.util
import os

import pyarrow.parquet
import pytest

from mixer_tf.serving import prediction_files
from mixer_tf.serving.prediction_files import require_writable, writing


class Prediction:
    def __init__(self, class_name, probability):
        self.class_name, self.probability = class_name, probability


ANSWERS = {
    "a.png": [Prediction("cat", 0.75), Prediction("été 猫", 0.25)],
    'b,"\n.png': [Prediction('=HYPERLINK("x")', 0.5)],
    "-c.png": "not an image",
}
COLUMNS = [
    *("image", "class_name", "probability", "class_name_2", "probability_2"),
    *("class_name_3", "probability_3", "error"),
]


def write(path) -> None:
    require_writable(str(path))
    with writing(str(path), 3) as add:
        for image, answer in ANSWERS.items():
            add(image, answer)


def test_csv_has_a_row_for_each_image_and_no_formula(tmp_path):
    write(tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == COLUMNS
    assert rows == [
        ["a.png", "cat", "0.75", "été 猫", "0.25", "", "", ""],
        ['b,"\n.png', '\'=HYPERLINK("x")', "0.5", "", "", "", "", ""],
        ["'-c.png", "", "", "", "", "", "", "not an image"],
    ]


@pytest.mark.parametrize("group", [1, 2, 8192])
def test_parquet_has_the_same_rows_as_they_are(tmp_path, monkeypatch, group):
    monkeypatch.setattr(prediction_files, "_ROW_GROUP", group)
    write(tmp_path / "out.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == COLUMNS
    assert [list(row.values()) for row in table.to_pylist()] == [
        ["a.png", "cat", 0.75, "été 猫", 0.25, None, None, None],
        ['b,"\n.png', '=HYPERLINK("x")', 0.5, None, None, None, None, None],
        ["-c.png", None, None, None, None, None, None, "not an image"],
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_failure_leaves_the_old_file_and_no_part(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), writing(str(path), 1) as add:
        add("a.png", "error")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == [path.name]


def test_a_table_without_images_has_its_columns(tmp_path):
    with writing(str(tmp_path / "a.parquet"), 1):
        pass
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").num_rows == 0


def test_other_paths_are_refused_before_any_work(tmp_path, monkeypatch):
    for name in ("a.xlsx", "a", "csv", ""):
        with pytest.raises(ValueError, match=r"--output must end in \.csv or \.parquet; got"):
            require_writable(str(tmp_path / name))
    with pytest.raises(ValueError, match="must be in a folder that exists; got .*Create "):
        require_writable(str(tmp_path / "none" / "a.csv"))
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(ValueError, match="must be a file; got the folder"):
        require_writable(str(tmp_path / "b.csv"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="need the package pyarrow, which is not installed"):
        require_writable(str(tmp_path / "a.parquet"))
    require_writable(str(tmp_path / "A.CSV"))
