# SPDX-License-Identifier: Apache-2.0
"""`mixer predict` on good and bad files, with every kind of path to a model."""

import csv
import json
import os
import shutil

import pytest
import tensorflow as tf

from mixer_tf.serving import contract

CLASSES = {"cat", "dog", "été 夏"}


def test_an_image_gets_class_names_and_probabilities(mixer, trained, bad_folder):
    image = bad_folder.path / "cat" / "000.png"
    result = mixer("predict", trained.output, image)
    assert result.exit_code == 0, result.output
    path, answer = result.output.strip().split("  ")
    assert path == str(image)
    found = [part.rsplit(" ", 1) for part in answer.split(", ")]
    assert {name for name, _ in found} == CLASSES
    probabilities = [float(probability) for _, probability in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-3)


def test_the_process_optimizes_graphs_again_afterwards(mixer, trained, bad_folder):
    """A model that it exports then would be slow for ever."""
    assert mixer("predict", trained.output, bad_folder.path / "cat" / "000.png").exit_code == 0
    assert not tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer")


def test_top_limits_the_classes(mixer, trained, bad_folder):
    result = mixer("predict", trained.output, bad_folder.path / "cat" / "000.png", "--top=1")
    assert "," not in result.output.partition("  ")[2]


def test_top_is_limited_by_the_number_of_classes_that_a_model_returns(mixer, monkeypatch):
    result = mixer("predict", "model", "photo.jpg", "--top=6")
    assert result.exit_code == 2 and "6 is not in the range 1<=x<=5" in result.output
    monkeypatch.setattr(contract, "TOP_K", 2)
    result = mixer("predict", "model", "photo.jpg", "--top=3")
    assert result.exit_code == 2 and "3 is not in the range 1<=x<=2" in result.output
    result = mixer("predict", "model", "photo.jpg")  # the default fits any limit
    assert result.exit_code == 1


def test_bad_images_are_listed_with_the_reason_and_good_ones_are_classified(
    mixer, trained, bad_folder
):
    names = [*bad_folder.good, *bad_folder.bad]
    result = mixer("predict", trained.output, *(bad_folder.path / name for name in names))
    assert result.exit_code == 1
    for name in bad_folder.good:
        assert f"{bad_folder.path / name}  " in result.stdout
    lines = result.stderr.splitlines()
    for name, word in bad_folder.bad.items():
        (line,) = [line for line in lines if line.startswith(f"{bad_folder.path / name}: ")]
        assert word in line
    bad, total = len(bad_folder.bad), len(names)
    assert lines[-1] == f"Error: {bad} of {total} images cannot be used."


def test_a_folder_stands_for_its_images(mixer, trained, bad_folder, tmp_path):
    shutil.copytree(bad_folder.path, tmp_path / "all")
    (tmp_path / "all" / "cat" / "notes.txt").touch()
    missing, single = tmp_path / "none.jpg", bad_folder.path / "cat" / "000.png"
    result = mixer("predict", trained.output, single, missing, tmp_path / "all", "--json")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    first, second, *others = answers
    assert (first["image"], second) == (
        str(single),
        {"image": str(missing), "error": "file not found"},
    )
    found = {answer["image"] for answer in others if "predictions" in answer}
    assert found == {str(tmp_path / "all" / name) for name in bad_folder.good}
    assert others[0]["image"] == str(tmp_path / "all" / "cat" / "000.png")
    alone = mixer("predict", trained.output, others[0]["image"], "--json").stdout
    assert json.loads(alone)["predictions"] == others[0]["predictions"]

    bad, total = len(bad_folder.bad) + 1, len(answers)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "note: files and folders that are not images were ignored: 1, such as "
        f"{tmp_path / 'all' / 'cat' / 'notes.txt'}",
        f"Error: {bad} of {total} images cannot be used.",
    ]


def test_a_folder_without_images_is_unusable(mixer, trained, tmp_path):
    result = mixer("predict", trained.output, tmp_path)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{tmp_path}: a folder without images\nError: 1 of 1 images cannot be used.\n"
    )


def test_json_has_one_object_per_line(mixer, trained, bad_folder):
    good, bad = bad_folder.path / "cat" / "modern.webp", bad_folder.path / "cat" / "nothing.jpg"
    result = mixer("predict", trained.output, good, bad, "--json")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["image"] == str(good)
    assert {each["class_name"] for each in first["predictions"]} == CLASSES
    assert second == {"image": str(bad), "error": "empty file"}
    (line,) = mixer("predict", trained.output, good, "--json", "--top=1").stdout.splitlines()
    assert json.loads(line)["predictions"] == first["predictions"][:1]


def test_a_model_is_found_by_its_version_its_versions_and_what_holds_them(
    mixer, trained, bad_folder, tmp_path
):
    serving = trained.output / "serving"
    image = bad_folder.path / "dog" / "001.png"
    expected = mixer("predict", trained.output, image).output
    shutil.copytree(serving / "1", tmp_path / "artifact" / "Format-Serving")
    for folder in (serving, serving / "1", tmp_path / "artifact"):
        assert mixer("predict", folder, image).output == expected


def test_a_folder_without_a_model_is_one_clear_line(mixer, tmp_path):
    result = mixer("predict", tmp_path, "photo.jpg")
    assert result.exit_code == 1
    assert result.output.startswith("Error: MODEL must hold saved_model.pb")
    assert result.output.count("\n") == 1


def test_a_device_or_a_named_pipe_is_refused_at_once(mixer, trained, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = mixer("predict", trained.output, "/dev/zero", pipe)
    assert result.exit_code == 1
    assert "/dev/zero: cannot be read: not a regular file" in result.output
    assert f"{pipe}: cannot be read: not a regular file" in result.output
    result = mixer("predict", pipe, pipe)
    assert result.exit_code == 1 and result.output.startswith("Error: MODEL must hold ")


def test_a_table_holds_the_answers_of_a_whole_folder(mixer, trained, bad_folder, tmp_path):
    folder, table = bad_folder.path, tmp_path / "predictions.csv"
    result = mixer("predict", trained.output, folder, f"--output={table}", "--top=2")
    good, total = len(bad_folder.good), len(bad_folder.good) + len(bad_folder.bad)
    assert result.exit_code == 1
    assert result.stdout == f"predictions for {good} of {total} images in {table}\n"
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == total
    assert {row["image"] for row in rows if not row["error"]} == {
        str(folder / name) for name in bad_folder.good
    }
    shown = mixer("predict", trained.output, folder, "--json").stdout.splitlines()
    answers = {answer["image"]: answer for answer in map(json.loads, shown)}
    for row in rows:
        answer = answers[row["image"]]
        if row["error"]:
            assert answer["error"] == row["error"]
            continue
        best, second, *_ = answer["predictions"]
        assert (row["class_name"], row["class_name_2"]) == (
            best["class_name"],
            second["class_name"],
        )
        assert float(row["probability"]) == pytest.approx(best["probability"], abs=1e-6)


def test_a_table_is_refused_with_json_or_in_another_format(mixer, tmp_path):
    result = mixer("predict", "model", "a.png", "--json", "--output=a.csv")
    assert result.exit_code == 2 and "must not be given together" in result.output
    result = mixer("predict", "model", "a.png", f"--output={tmp_path / 'a.xlsx'}")
    assert result.exit_code == 1
    assert result.output.startswith("Error: --output must end in .csv or .parquet; got ")
