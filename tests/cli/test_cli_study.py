# SPDX-License-Identifier: Apache-2.0
"""`mixer study permutation`, with a trained model and by training."""

import json

import pytest
from PIL import Image

from mixer_tf.cli import permutation_study
from mixer_tf.studies import permutation
from mixer_tf.studies.input_order import ORDERS
from mixer_tf.training.callbacks import TrainingDivergedError


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
    assert list(scores) == list(ORDERS) and results["models"] == [str(trained.output)]
    for order in ("patches", "pixels", "both"):
        assert scores[order]["absorbed"] == scores["given"]["top_1"]
    assert "top-1  with weights in that order\n" in result.output
    assert result.output.endswith(f"chart    {output / 'permutation.png'}\n")
    before = (output / "permutation.json").read_bytes()
    result = mixer("study", "permutation", trained.output, source, f"--output={output}")
    assert result.exit_code == 1 and "OUTPUT must be new" in result.output
    assert (output / "permutation.json").read_bytes() == before


BIT = ("name=bit", "image_size=16", "num_units=1", "width=8", "num_groups=4")


@pytest.mark.slow
def test_by_training_a_mixer_and_a_resnet(mixer, bad_folder, tiny_options, tmp_path):
    output = tmp_path / "study"
    own = [word for field in BIT[2:] for word in ("--set", f"bit:model.{field}")]
    shared = [word for word in tiny_options if word not in ("--set", "model.name=mixer")]
    arguments = [
        *(f"--source=folder:{bad_folder.path}", f"--output={output}", "--orders=given,global"),
        *("--recipe=digits", "--models=digits,bit", *own),
        *(
            word
            for option in shared
            if option.startswith(("data.", "training."))
            for word in ("--set", option)
        ),
    ]
    result = mixer("study", "permutation", *arguments)
    assert result.exit_code == 0, result.output
    results = read(output)
    found = [(score["model"], score["order"], len(score["curve"])) for score in results["scores"]]
    assert found == [
        (model, order, 2) for order in ("given", "global") for model in ("digits", "bit")
    ]
    assert results["recipes"]["bit"]["model"]["width"] == 8
    assert results["recipes"]["digits"]["model"]["patch_size"] == 4
    assert "weights in that order" not in result.output
    again = mixer("study", "permutation", *arguments)
    assert again.exit_code == 0 and again.output.count("(finished before)") == 4
    assert read(output) == results


def test_where_every_training_diverges_the_error_says_so(
    mixer, image_folder, tmp_path, monkeypatch
):
    def diverge(*args, **kwargs):
        raise TrainingDivergedError("the loss must stay finite")

    monkeypatch.setattr(permutation, "train", diverge)
    words = (f"--source=folder:{image_folder}", f"--output={tmp_path}", "--recipe=digits")
    result = mixer("study", "permutation", *words, "--orders=given,both")
    assert result.exit_code == 1
    assert result.output.endswith("Error: 2 of 2 trainings failed; see above.\n")
    assert "chart" not in result.output
    assert not (tmp_path / "permutation.png").exists()


@pytest.mark.parametrize(
    ("function", "trained", "message"),
    [
        ("_evaluate", ["model"], "Stopped."),
        ("_train", [], "Stopped; the same command resumes the study."),
    ],
)
def test_only_a_study_that_trains_is_resumed(
    mixer, tmp_path, monkeypatch, function, trained, message
):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(permutation_study, function, stop)
    words = ("--source=digits", f"--output={tmp_path / 'study'}")
    result = mixer("study", "permutation", *trained, *words)
    assert result.exit_code == 130
    assert result.output.splitlines()[-1] == message


@pytest.mark.parametrize("words", [["study"], ["study", "permutation"]])
def test_help_has_an_example(mixer, words):
    result = mixer(*words, "--help")
    assert result.exit_code == 0
    assert "\n    mixer study permutation pets-model --source=folder:pets" in result.output


@pytest.mark.parametrize("study", ["scaling", "ablations"])
def test_help_of_a_study_has_an_example(mixer, study):
    result = mixer("study", study, "--help")
    assert result.exit_code == 0
    assert f"\n    mixer study {study} --source=tfds:cifar10" in result.output


@pytest.mark.slow
def test_data_scaling(mixer, bad_folder, tiny_options, tmp_path):
    output = tmp_path / "study"
    source = f"--source=folder:{bad_folder.path}"
    arguments = ("scaling", source, f"--output={output}", "--shares=50,100", "--evaluations=2")
    arguments += ("--shots=1", *tiny_options)
    result = mixer("study", *arguments)
    assert result.exit_code == 0, result.output
    results = json.loads((output / "scaling.json").read_text())
    half, whole = results["trainings"]
    assert 0 < half["images"] < whole["images"] and half["steps"] == whole["steps"]
    for row in (half, whole):
        assert row["epochs"] * row["images"] == row["steps"] * 8
        assert row["best_step"] in (row["steps"] // 2, row["steps"])
        assert row["few_shot_mean"] == pytest.approx(sum(row["few_shot"]) / 3)
    assert Image.open(output / "scaling.png").format == "PNG"
    lines = (output / "scaling.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("model,share,images,epochs,steps,best_step")
    # With another share, only that one is trained.
    arguments = [word.replace("50,100", "50,75,100") for word in arguments]
    again = mixer("study", *arguments)
    assert again.exit_code == 0 and again.output.count("(finished before)") == 2
    rows = json.loads((output / "scaling.json").read_text())["trainings"]
    assert [rows[0], rows[2]] == [half, whole] and half["images"] < rows[1]["images"]
    refused = mixer("study", "ablations", source, f"--output={output}", "--shots=1", *tiny_options)
    assert refused.exit_code == 1 and "holds the study 'scaling'" in refused.output


@pytest.mark.slow
def test_ablations(mixer, bad_folder, tiny_options, tmp_path):
    output = tmp_path / "study"
    result = mixer(
        *("study", "ablations", f"--source=folder:{bad_folder.path}", f"--output={output}"),
        *("--variants=unchanged,untied", "--evaluations=1", "--shots=1", *tiny_options),
    )
    assert result.exit_code == 0, result.output
    plain, untied = json.loads((output / "ablations.json").read_text())["trainings"]
    assert untied["recipe"]["model"]["untied"] and untied["parameters"] > plain["parameters"]
    gain = untied["test_accuracy"] - plain["test_accuracy"]
    (line,) = [line for line in result.output.splitlines() if line.startswith("untied  ")]
    assert f"{gain:+.4f}" in line.split()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scaling", "--shares=3,x"], "--shares must be percentages such as 3,10,30,100; got"),
        (["scaling", "--shares=0"], "the shares must be more than 0 and at most 100 %; got 0 %."),
        (
            ["scaling", "--shot-seeds=1,1"],
            "'--shot-seeds': must be different numbers of at least 0",
        ),
        (["scaling", "--models=cifar10_bit", "--recipe=photos"], "--recipe has no effect"),
        (["scaling", "--strategy=multi_worker"], "because a study runs on one machine"),
        (["scaling", "--strategy=gpu"], "strategy must be one of auto, default, mirrored"),
        (["ablations", "--variants=x"], "a variant must be one of unchanged, untied"),
        (["ablations", "--recipe=cifar10_bit"], "must have a Mixer without ablations; got"),
        (["permutation", "model", "--models=a"], "--models and --evaluations are only for train"),
        (["permutation", "model", "--strategy=default"], "--strategy is only for training"),
        (["permutation", "--seed=-1"], "'--seed': -1 is not in the range x>=0."),
    ],
)
def test_options_that_are_not_possible(mixer, words, message):
    result = mixer("study", *words, "--source=digits")
    assert result.exit_code in (1, 2) and message in " ".join(result.output.split())


def test_a_recipe_is_refused_for_a_trained_model(mixer):
    result = mixer("study", "permutation", "model", "--source=digits", "--recipe=digits")
    assert result.exit_code == 2
    assert "--recipe and --set are only for training, without MODEL." in result.output


def test_an_unknown_order(mixer):
    result = mixer("study", "permutation", "--source=digits", "--orders=given,random")
    assert result.exit_code == 2
    assert "must be some of given, patches, pixels, both, global; got 'random'." in result.output
