# SPDX-License-Identifier: Apache-2.0
"""`mixer fewshot` of a trained model: the table and the JSON have the accuracies of the probe."""

import json

import numpy as np
import pytest

from mixer_tf.datasets.sources import opening
from mixer_tf.evaluation import fewshot
from mixer_tf.evaluation.image_features import open_extractor, read_features


def test_table_and_json_have_the_accuracies_of_the_probe(mixer, trained, bad_folder, tmp_path):
    spec = f"folder:{bad_folder.path}"
    arguments = ("fewshot", trained.output, f"--source={spec}", f"--cache={tmp_path}")
    result = mixer(*arguments, "--shots=1,5", "--shots-from=train+eval", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    source, extractor = opening.open_source(spec), open_extractor(str(trained.output))
    train = read_features(extractor, source, ["train", "eval"]).features
    test = read_features(extractor, source, ["test"]).features
    expected = fewshot.evaluate(train, test, 3, (1, 5))
    assert report["results"] == [json.loads(json.dumps(each.to_dict())) for each in expected]
    assert report["train"] == {"splits": ["train", "eval"], "images": len(train)}
    assert report["test"]["images"] == len(test)
    assert (report["seeds"], report["l2"], report["classes"]) == ([0, 1, 2], 1024, 3)

    result = mixer(*arguments, "--shots=1,5", "--shots-from=train+eval", "--seeds=0,1")
    header, *rows = result.output.splitlines()[-3:]
    assert header.split() == ["shots", "images", "top-1", "±", "seed", "0", "seed", "1"]
    for row, wanted in zip(rows, expected, strict=True):
        shots, images, mean, deviation, *each = row.split()
        assert (int(shots), int(images)) == (wanted.shots, wanted.images)
        assert [float(value) for value in each] == pytest.approx(wanted.accuracies[:2], abs=5e-5)
        assert float(mean) == pytest.approx(np.mean(wanted.accuracies[:2]), abs=5e-5)
        assert float(deviation) == pytest.approx(np.std(wanted.accuracies[:2], ddof=1), abs=5e-5)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--shots=0,5", "different numbers of at least 1, separated by commas; got '0,5'"),
        ("--shots=5,5", "different numbers of at least 1"),
        ("--seeds=a", "different numbers of at least 0, separated by commas; got 'a'"),
        ("--shots=500", "at most the images of the largest class"),
    ],
)
def test_impossible_numbers_are_refused(mixer, trained, image_folder, option, message):
    result = mixer("fewshot", trained.output, f"--source=folder:{image_folder}", option)
    assert result.exit_code != 0 and message in " ".join(result.output.split())


def test_help_has_an_example(mixer):
    result = mixer("fewshot", "--help")
    assert (
        result.exit_code == 0 and "mixer fewshot pets-model --source=folder:pets" in result.output
    )
