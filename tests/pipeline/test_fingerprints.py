# SPDX-License-Identifier: Apache-2.0
"""A changed file makes the steps that depend on it run again, and no others."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from mixer_tf import recipes
from mixer_tf.datasets.sources import opening
from pipeline import configs, fingerprints
from pipeline.configs import Fingerprints, PipelineConfig
from pipeline.import_graph import PACKAGES, ImportGraph

ROOT = pathlib.Path(__file__).parents[2]


def _folder(path, color):
    for name in ("cat", "dog"):
        (path / name).mkdir(parents=True, exist_ok=True)
        for index in range(3):
            Image.new("RGB", (16, 16), color).save(path / name / f"{index}.png")
    return f"folder:{path}"


def _config(source: str, *test_sets: str) -> PipelineConfig:
    return PipelineConfig(
        name="n",
        root="/r",
        source=source,
        recipe=recipes.get("digits"),
        downstream_test_sets=test_sets,
    )


def fingerprint_run(config: PipelineConfig) -> Fingerprints:
    """As the local runner does it: every source is opened once."""
    return fingerprints.fingerprint_run(
        config,
        opening.open_source(config.source),
        [opening.open_source(spec) for spec in config.downstream_test_sets],
    )


def test_same_state_gives_the_same_fingerprints(tmp_path):
    config = _config(_folder(tmp_path / "a", "red"))
    assert fingerprint_run(config) == fingerprint_run(config)


def test_changed_image_changes_the_example_gen_only(tmp_path):
    config = _config(_folder(tmp_path / "a", "red"))
    before = fingerprint_run(config)
    Image.new("RGB", (17, 16), "blue").save(tmp_path / "a" / "cat" / "new.png")
    after = fingerprint_run(config)
    assert after.image_example_gen != before.image_example_gen
    assert dataclasses.replace(after, image_example_gen=before.image_example_gen) == before


def test_downstream_test_set_changes_the_deduplicator_only(tmp_path):
    source = _folder(tmp_path / "a", "red")
    before = fingerprint_run(_config(source))
    after = fingerprint_run(_config(source, _folder(tmp_path / "b", "blue")))
    assert after.deduplicator != before.deduplicator
    assert dataclasses.replace(after, deduplicator=before.deduplicator) == before


def test_changed_weights_change_the_tuner_and_the_trainer_only(tmp_path):
    config = _config(_folder(tmp_path / "a", "red"))
    weights = tmp_path / "weights.npz"
    weights.write_bytes(b"1")
    recipe = config.recipe.override([f"model.weights={weights}"])
    config = dataclasses.replace(config, recipe=recipe)
    before = fingerprint_run(config)
    weights.write_bytes(b"22")
    after = fingerprint_run(config)
    assert after.trainer != before.trainer and after.tuner != before.tuner
    changed_back = {"trainer": before.trainer, "tuner": before.tuner}
    assert dataclasses.replace(after, **changed_back) == before


def test_changed_schema_changes_the_schema_import_only(tmp_path, monkeypatch):
    schema = tmp_path / "schema.pbtxt"
    shutil.copy(configs.SCHEMA_FILE, schema)
    monkeypatch.setattr(fingerprints, "SCHEMA_FILE", str(schema))
    config = _config(_folder(tmp_path / "a", "red"))
    before = fingerprint_run(config)
    schema.write_text(schema.read_text() + "# one more line\n")
    after = fingerprint_run(config)
    assert after.import_schema_gen != before.import_schema_gen
    assert dataclasses.replace(after, import_schema_gen=before.import_schema_gen) == before


# Module → the steps that must run again when it changes, worked out by hand.
READ_IMAGES = {"image_example_gen", "deduplicator", "bulk_predictor"}
PREPARE = {*READ_IMAGES, "image_statistics", "preprocessor"}
TRAIN = {"tuner", "trainer"}
PROBE = {"few_shot_evaluator"}
REPORT = {"run_report"}  # it is read from what nearly all steps have written
ALL = {*PREPARE, "drift_validator", *TRAIN, "evaluator", *PROBE, "model_checker", "pusher", *REPORT}
CHANGES = {
    "mixer_tf/version.py": ALL,  # the package itself imports it
    "mixer_tf/features.py": ALL - {"model_checker"},
    "mixer_tf/datasets/sources/folder.py": READ_IMAGES,
    "mixer_tf/datasets/sources/tfrecord_features.py": READ_IMAGES,
    "mixer_tf/deduplication/alignment.py": {"deduplicator", *REPORT},
    "mixer_tf/images/resizing.py": {"preprocessor", *TRAIN, *PROBE},
    "mixer_tf/images/reduction.py": {"preprocessor"},
    "mixer_tf/images/thumbnails.py": {"deduplicator", "evaluator", *REPORT},
    "mixer_tf/images/decoding.py": {
        *("preprocessor", "bulk_predictor", *TRAIN, *PROBE, *REPORT),
    },
    "mixer_tf/models/layers.py": {*TRAIN, *PROBE, "pusher", *REPORT},  # the card counts parameters
    "mixer_tf/visualization/filters.py": {*TRAIN, *REPORT},  # TensorBoard shows the filters
    # Found by name, so any recipe may be read.
    "mixer_tf/recipes/photos.py": {*TRAIN, *PROBE, "pusher", *REPORT},
    "mixer_tf/export/check_process.py": {"model_checker"},
    "mixer_tf/serving/versions.py": {"trainer", "pusher", *REPORT},  # the key of a warm start
    "mixer_tf/serving/predictor.py": {"bulk_predictor"},
    "mixer_tf/training/warm_start.py": {"trainer"},
    "mixer_tf/serving/locations.py": {
        *("bulk_predictor", *TRAIN, "evaluator", *PROBE, "pusher", *REPORT),  # it finds exports
    },
    "mixer_tf/studies/permutation.py": set(),
    "mixer_tf/cli/train.py": set(),
    "components/evaluations.py": {"evaluator", "pusher", *REPORT},
    "components/evaluator/page.py": {"evaluator"},
    "components/evaluator/extractors.py": {"evaluator"},
    "components/evaluator/transforms.py": {"evaluator"},
    "mixer_tf/evaluation/mistakes.py": {"evaluator", *REPORT},
    "mixer_tf/evaluation/page.py": {"evaluator"},
    "mixer_tf/evaluation/report.py": set(),
    "components/evaluation_metrics.py": {"evaluator"},
    "mixer_tf/evaluation/class_counts.py": {"evaluator", "pusher", *REPORT},
    "components/records.py": {"image_example_gen", "preprocessor", "bulk_predictor"},
    "components/artifacts.py": {
        *("deduplicator", "image_statistics", "drift_validator", "preprocessor"),
        *(*PROBE, *REPORT),
    },
    "mixer_tf/evaluation/fewshot.py": {*PROBE, *REPORT},
    "mixer_tf/datasets/skew.py": {"image_statistics", *REPORT},
    "mixer_tf/images/measurement.py": {"image_statistics", *REPORT},
    "mixer_tf/datasets/global_shuffle.py": {"preprocessor"},
    "mixer_tf/datasets/shards.py": {
        *("image_example_gen", "deduplicator", "preprocessor", "bulk_predictor"),
    },
    "mixer_tf/deduplication/pair_page/page.css": {"deduplicator", *REPORT},
    "components/preprocessor/component.py": {"preprocessor"},
    "components/trainer/run_fn.py": {"trainer"},
    "components/tuner/results.py": {"tuner"},
    "components/training_config.py": {*TRAIN, *REPORT},
    "mixer_tf/reports/model_card.py": {"pusher", *REPORT},
    "mixer_tf/reports/page.py": REPORT,
    "components/run_report/collection.py": REPORT,
    "pipeline/local/run_record.py": set(),
    "mixer_tf/training/sweep.py": {"tuner"},
    "mixer_tf/training/trainer.py": TRAIN,
    "pipeline/local/summary.py": set(),
    "pipeline/definition.py": set(),  # its parameters are in TFX's own cache key
}


@pytest.fixture
def tree(tmp_path) -> pathlib.Path:
    """A copy of the source tree."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    return tmp_path


def test_one_changed_line_runs_exactly_the_steps_that_import_it_again(tree, monkeypatch):
    before = fingerprints.fingerprint_code(tree)
    assert before == fingerprints.fingerprint_code(ROOT)
    graph = ImportGraph(tree)  # once, because no changed line imports anything
    monkeypatch.setattr(fingerprints, "ImportGraph", {tree: graph}.__getitem__)
    for path, expected in CHANGES.items():
        original = (tree / path).read_text("utf-8")
        (tree / path).write_text(original + "\n_CHANGED = True\n", "utf-8")
        after = fingerprints.fingerprint_code(tree)
        (tree / path).write_text(original, "utf-8")
        assert {step for step in after if after[step] != before[step]} == expected, path


def test_script_that_the_model_checker_runs_is_in_its_fingerprint():
    """No module imports it there; only its file name is mentioned."""
    closure = ImportGraph(ROOT).closure(fingerprints.ENTRY_MODULES["model_checker"])
    assert "mixer_tf.export.check" in closure


@pytest.fixture(scope="module")
def imported(tmp_path_factory, image_folder) -> dict[str, list[str]]:
    """Step → the project modules that its executor has really imported."""
    folder = tmp_path_factory.mktemp("every step")
    test_images = folder / "test images" / "cat"
    test_images.mkdir(parents=True)
    for index in range(5):
        shutil.copy(image_folder / "cat" / f"{index:03d}.png", test_images)
    script = pathlib.Path(__file__).with_name("run_every_step.py")
    result = subprocess.run(
        [sys.executable, script, image_folder, test_images.parent, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("step", fingerprints.ENTRY_MODULES)
def test_modules_that_a_step_really_imports_are_in_its_fingerprint(imported, step):
    entry_module = fingerprints.ENTRY_MODULES[step]
    assert entry_module in imported[step]
    missing = set(imported[step]) - ImportGraph(ROOT).closure(entry_module)
    assert not missing


@pytest.mark.slow
def test_real_imports_include_those_inside_functions(imported):
    """Or the test above would prove little."""
    assert "mixer_tf.visualization.filters" in imported["trainer"]
    assert "mixer_tf.images.reduction" in imported["preprocessor"]
    assert "mixer_tf.deduplication.previews" in imported["deduplicator"]
