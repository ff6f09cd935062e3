# SPDX-License-Identifier: Apache-2.0
"""`mixer evaluate` against an independent count, image by image."""

import json

import pytest


def test_metrics_equal_an_independent_count(mixer, trained, bad_folder):
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
    for name, counts in report["classes"].items():
        assert counts["images"] == right.count(name)
        assert counts["predicted"] == first.count(name)
        assert counts["correct"] == pairs.count((name, name))
    assert len(report["unusable"]) == len(bad_folder.bad)
    listed = {answer["image"]: answer for answer in report["answers"]}
    assert {path: listed[path]["class_name"] for path in listed} == dict(
        zip(map(str, paths), right, strict=True)
    )
    for path, line in zip(paths, answers, strict=True):
        best = json.loads(line)["predictions"][0]
        assert listed[str(path)]["predicted"] == best["class_name"]
        assert listed[str(path)]["probability"] == pytest.approx(best["probability"], abs=1e-5)


def test_the_text_has_metrics_a_table_and_the_unusable_images(mixer, trained, bad_folder):
    source = f"--source=folder:{bad_folder.path}"
    result = mixer("evaluate", trained.output, source, "--split=all")
    assert result.exit_code == 0, result.output
    assert f"images   {len(bad_folder.good)}: train, eval, test of folder:" in result.output
    assert "top-1    " in result.output
    assert "top-5" not in result.output  # of three classes
    assert "\nété 夏 " in result.output
    assert f"{len(bad_folder.bad)} images cannot be used and were left out:" in result.output
    assert "nothing.jpg: empty file" in result.output


def test_the_test_split_is_the_one_of_the_training(mixer, trained, bad_folder):
    source = f"--source=folder:{bad_folder.path}"
    report = json.loads(mixer("evaluate", trained.output, source, "--json").output)
    dataset = json.loads((trained.output / "data" / "dataset.json").read_text())
    assert report["splits"] == ["test"]
    assert report["images"] == sum(dataset["counts"]["test"].values())


def test_classes_that_the_model_does_not_know_are_listed(mixer, trained, image_folder, tmp_path):
    (tmp_path / "cat").symlink_to(image_folder / "cat")
    (tmp_path / "horse").symlink_to(image_folder / "dog")
    arguments = (trained.output, f"--source=folder:{tmp_path}", "--split=all")
    result = mixer("evaluate", *arguments)
    assert result.exit_code == 0, result.output
    assert "note: the model does not know horse: all their images count as wrong" in result.stderr
    assert "\nhorse " in result.stdout


def test_a_source_of_other_classes_is_refused(mixer, trained):
    result = mixer("evaluate", trained.output, "--source=digits")
    assert result.exit_code == 1
    assert "the model knows cat, dog, été 夏, the source has 0, 1, 2, 3, 4, and 5 more" in (
        result.output
    )
