# SPDX-License-Identifier: Apache-2.0
"""`mixer evaluate` against a count that is made by hand, image by image."""

import json

import pytest


def test_figures_equal_a_count_by_hand(mixer, trained, bad_folder):
    source = f"--source=folder:{bad_folder.path}"
    report = json.loads(mixer("evaluate", trained.output, source, "--split=all", "--json").output)

    paths = [bad_folder.path / name for name in bad_folder.good]
    answers = mixer("predict", trained.output, *paths, "--json").stdout.splitlines()
    first = [json.loads(answer)["predictions"][0]["class_name"] for answer in answers]
    right = [name.split("/")[0] for name in bad_folder.good]
    pairs = list(zip(right, first, strict=True))

    assert report["images"] == len(pairs)
    assert report["top_1"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    assert report["top_5"] == 1.0
    for name, figures in report["classes"].items():
        assert figures["images"] == right.count(name)
        assert figures["predicted"] == first.count(name)
        assert figures["correct"] == pairs.count((name, name))
    assert len(report["unusable"]) == len(bad_folder.bad)


def test_a_person_sees_figures_a_table_and_what_was_left_out(mixer, trained, bad_folder):
    source = f"--source=folder:{bad_folder.path}"
    result = mixer("evaluate", trained.output, source, "--split=all")
    assert result.exit_code == 0, result.output
    assert f"images   {len(bad_folder.good)}: train, eval, test of folder:" in result.output
    assert "top-1    " in result.output
    assert "top-5" not in result.output  # of three classes
    assert "\nété 夏 " in result.output
    assert f"{len(bad_folder.bad)} images cannot be used and were left out:" in result.output
    assert "nothing.jpg: empty file" in result.output


def test_the_test_split_is_what_the_training_held_out(mixer, trained, bad_folder):
    source = f"--source=folder:{bad_folder.path}"
    report = json.loads(mixer("evaluate", trained.output, source, "--json").output)
    dataset = json.loads((trained.output / "data" / "dataset.json").read_text())
    assert report["splits"] == ["test"]
    assert report["images"] == sum(dataset["counts"]["test"].values())


def test_classes_that_the_model_does_not_know_are_named(mixer, trained, image_folder, tmp_path):
    (tmp_path / "cat").symlink_to(image_folder / "cat")
    (tmp_path / "horse").symlink_to(image_folder / "dog")
    arguments = (trained.output, f"--source=folder:{tmp_path}", "--split=all")
    result = mixer("evaluate", *arguments)
    assert result.exit_code == 0, result.output
    assert "note: the model does not know horse: all wrong" in result.stderr
    assert "\nhorse " in result.stdout


def test_a_source_of_other_classes_is_refused(mixer, trained):
    result = mixer("evaluate", trained.output, "--source=digits")
    assert result.exit_code == 1
    assert "the model knows cat, dog, été 夏, the source has 0, 1, 2, 3, 4 and 5 more" in (
        result.output
    )
