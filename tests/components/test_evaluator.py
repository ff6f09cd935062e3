# SPDX-License-Identifier: Apache-2.0
"""Evaluator, run by TFX and Beam: its mistakes are those of `mixer evaluate` on the same images."""

import html
import io
import json
import os
import pathlib

import harness
import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf import json_format
from PIL import Image
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts

from components.evaluator.executor import Executor
from mixer_tf import factory, features
from mixer_tf.cli import main
from mixer_tf.datasets import examples, source_writing
from mixer_tf.datasets.sources import opening
from mixer_tf.evaluation import mistakes
from mixer_tf.export import saved_model
from pipeline.eval_config import make_eval_config

NAMES = ("<b>cat", "<img src=x onerror=window.hacked=1>", "été 夏")


def make_model(folder: pathlib.Path, seed: int):
    recipe = harness.tiny_recipe()
    model = harness.randomize(factory.from_recipe(recipe, len(NAMES)), 0.5, seed)
    artifact = standard_artifacts.Model()
    artifact.uri = str(folder)
    saved_model.export_saved_model(model, recipe, NAMES, str(folder / "Format-Serving"))
    return artifact


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model"), 0)


@pytest.fixture(scope="module")
def images(tmp_path_factory, write_image_folder) -> pathlib.Path:
    """180 test images of three classes, of which a random model knows about a third."""
    folder = tmp_path_factory.mktemp("images")
    write_image_folder(folder / "train", NAMES, per_class=2)
    write_image_folder(folder / "test", NAMES, per_class=60)
    return folder


def prepare(folder: pathlib.Path, source: str):
    source_writing.write_source(opening.open_source(source), str(folder))
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(features.SPLITS))
    return artifact


@pytest.fixture(scope="module")
def prepared(images, tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("examples"), f"folder:{images}")


def evaluate(folder: pathlib.Path, prepared, model, baseline=None, beam_args=()) -> pathlib.Path:
    """Runs the executor as TFX does; returns the folder of its result."""
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    for artifact, name in ((evaluation, "evaluation"), (blessing, "blessing")):
        artifact.uri = str(folder / name)
        os.makedirs(artifact.uri)
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_args), tmp_dir=str(folder / "tmp")
    )
    inputs = {"examples": [prepared], "model": [model]}
    Executor(context).Do(
        {**inputs, **({"baseline_model": [baseline]} if baseline else {})},
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "eval_config": json_format.MessageToJson(
                make_eval_config(0.0, 1.0), preserving_proto_field_name=True
            ),
            "example_splits": '["test"]',
        },
    )
    return folder / "evaluation"


@pytest.fixture(scope="module")
def evaluated(prepared, model, tmp_path_factory) -> pathlib.Path:
    """The result with a baseline, whose mistakes are others."""
    folder = tmp_path_factory.mktemp("run")
    return evaluate(folder, prepared, model, make_model(folder / "old", 1))


@pytest.fixture(scope="module")
def expected(model, images) -> dict[str, list[dict]]:
    """The wrong predictions of `mixer evaluate --json`: kind → in the order of that kind."""
    arguments = ["evaluate", f"{model.uri}/Format-Serving", f"--source=folder:{images}", "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    predictions = json.loads(result.stdout[result.stdout.index("{") :])["predictions"]
    assert len(predictions) == 180
    wrong = [prediction for prediction in predictions if not prediction["correct"]]
    return {
        mistakes.MOST_CONFIDENT: sorted(wrong, key=lambda prediction: -prediction["probability"]),
        mistakes.WORST: sorted(wrong, key=lambda prediction: prediction["class_probability"]),
    }


def assert_same(found: list[dict], expected: dict[str, list[dict]]) -> None:
    for kind, wrong in expected.items():
        assert len(wrong) > mistakes.MAX_PAGE_MISTAKES
        of_kind = [line for line in found if line["kind"] == kind]
        assert len(of_kind) == mistakes.MAX_PAGE_MISTAKES
        for line, prediction in zip(of_kind, wrong, strict=False):
            for name in ("image", "class_name", "predicted", "rank"):
                assert line[name] == prediction[name]
            for name in ("probability", "class_probability"):
                assert line[name] == pytest.approx(prediction[name], abs=1e-6)


def read_lines(folder: pathlib.Path) -> list[dict]:
    text = (folder / mistakes.FILE).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_mistakes_are_those_of_mixer_evaluate(evaluated, expected):
    assert_same(read_lines(evaluated), expected)
    found = json.loads((evaluated / "evaluation.json").read_text("utf-8"))
    assert_same(found["mistakes"], expected)
    assert not any("preview" in line for line in found["mistakes"])
    total = sum(sum(row.values()) - row.get(name, 0) for name, row in found["confusion"].items())
    assert total == len(expected[mistakes.WORST])
    assert not list(evaluated.glob("partial-*"))


def test_the_previews_are_the_images(evaluated):
    for kept in mistakes.read(str(evaluated))[mistakes.WORST]:
        preview = np.asarray(Image.open(io.BytesIO(kept.preview)), float)
        image = np.asarray(Image.open(kept.prediction.image), float)
        assert np.abs(preview - image).mean() < 12  # a JPEG of it


def test_the_page_shows_them_and_names_are_text(evaluated):
    page = (evaluated / "evaluation.html").read_text("utf-8")
    for title in mistakes.TITLES.values():
        assert f">{title}</bdi></h2>" in page
    assert page.count("<figure><img ") == 2 * mistakes.MAX_PAGE_MISTAKES
    assert page.count("<img ") == page.count('<img src="data:image/jpeg;base64,')
    assert all(html.escape(name) in page for name in NAMES) and NAMES[0] not in page


@pytest.mark.slow
def test_several_worker_processes_keep_the_same_without_a_baseline(
    prepared, model, evaluated, tmp_path
):
    beam_args = [
        *("--runner=DirectRunner", "--direct_running_mode=multi_processing"),
        "--direct_num_workers=2",
    ]
    folder = evaluate(tmp_path, prepared, model, beam_args=beam_args)
    found, wanted = read_lines(folder), read_lines(evaluated)
    for line, other in zip(found, wanted, strict=True):
        for name in ("probability", "class_probability"):
            assert line.pop(name) == pytest.approx(other.pop(name), abs=1e-6)
        assert line == other


def test_a_test_split_without_an_image_has_no_mistakes(prepared, model, tmp_path):
    empty = tmp_path / "examples"
    examples.write([], str(empty), features.TEST, 2)
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(empty), prepared.split_names
    folder = evaluate(tmp_path, artifact, model)
    assert mistakes.read(str(folder)) == {kind: [] for kind in mistakes.TITLES}
    assert json.loads((folder / "evaluation.json").read_text("utf-8"))["mistakes"] == []
    assert "the test split has no usable image" in (folder / "evaluation.html").read_text("utf-8")


def test_a_damaged_file_is_one_clear_line(tmp_path):
    assert mistakes.read(str(tmp_path)) is None  # as of an older version
    (tmp_path / mistakes.FILE).write_text('{"kind": "worst"}\n')
    with pytest.raises(ValueError, match="line 1 has none: 'image'. Run the pipeline again"):
        mistakes.read(str(tmp_path))
