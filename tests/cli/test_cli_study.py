# SPDX-License-Identifier: Apache-2.0
"""`mixer study permutation`, with a trained model and by training."""

import json

import pytest
from PIL import Image

from mixer_tf.studies.input_order import ORDERS


def read(output) -> dict:
    assert Image.open(output / "permutation.png").format == "PNG"
    return json.loads((output / "permutation.json").read_text(encoding="utf-8"))


def test_of_a_trained_model(mixer, trained, bad_folder, tmp_path):
    output = tmp_path / "study"
    source = f"--source=folder:{bad_folder.path}"
    result = mixer("study", "permutation", trained.output, source, f"--output={output}")
    assert result.exit_code == 0, result.output
    results = read(output)
    scores = {score["order"]: score for score in results["scores"]}
    assert list(scores) == list(ORDERS) and results["model"] == str(trained.output)
    for order in ("patches", "pixels", "both"):
        assert scores[order]["absorbed"] == scores["given"]["top_1"]
    assert result.output.splitlines()[0].endswith("top-1  with weights in that order")
    assert result.output.endswith(f"chart  {output / 'permutation.png'}\n")
    result = mixer("study", "permutation", trained.output, source, f"--output={output}")
    assert result.exit_code == 1 and "OUTPUT must be new" in result.output


@pytest.mark.slow
def test_by_training(mixer, bad_folder, tiny_options, tmp_path):
    output = tmp_path / "study"
    arguments = (f"--source=folder:{bad_folder.path}", f"--output={output}", "--orders=global")
    result = mixer("study", "permutation", *arguments, *tiny_options)
    assert result.exit_code == 0, result.output
    results = read(output)
    assert [(score["order"], len(score["curve"])) for score in results["scores"]] == [("global", 2)]
    assert results["recipe"]["model"]["image_size"] == 16
    assert results["recipe"]["model"]["patch_size"] == 4
    assert "weights" not in result.output.splitlines()[0]


@pytest.mark.parametrize("words", [["study"], ["study", "permutation"]])
def test_help_has_an_example(mixer, words):
    result = mixer(*words, "--help")
    assert result.exit_code == 0
    assert "\n    mixer study permutation pets-model --source=folder:pets" in result.output


def test_a_recipe_is_refused_for_a_trained_model(mixer):
    result = mixer("study", "permutation", "model", "--source=digits", "--recipe=digits")
    assert result.exit_code == 2
    assert "--recipe and --set are only for training, without MODEL." in result.output


def test_an_unknown_order(mixer):
    result = mixer("study", "permutation", "--source=digits", "--orders=given,random")
    assert result.exit_code == 2
    assert "must be some of given, patches, pixels, both, global; got 'random'." in result.output
