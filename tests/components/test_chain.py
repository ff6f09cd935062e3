# SPDX-License-Identifier: Apache-2.0
"""From a folder to checked shards, component by component: the same with one or more workers."""

import glob
import json
import pathlib

import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.artifacts import DeduplicationReport, QuarantineReport
from components.deduplicator import executor as deduplicator
from components.image_example_gen import executor as image_example_gen
from components.preprocessor import executor as preprocessor
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import SPLITS

MODES = [
    pytest.param(mode, marks=pytest.mark.slow) for mode in ("multi_threading", "multi_processing")
]


def run_chain(source: str, downstream: str, folder: pathlib.Path, mode: str | None = None) -> dict:
    """Runs ImageExampleGen, Deduplicator and Preprocessor, and returns their outputs."""
    beam_args = ["--runner=DirectRunner", f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    beam_args = beam_args if mode else []  # with arguments, TFX packs itself for each executor
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=beam_args, tmp_dir=str(folder / "tmp")
    )
    raw, clean, ready = (standard_artifacts.Examples() for _ in range(3))
    report, quarantine = DeduplicationReport(), QuarantineReport()
    for number, artifact in enumerate((raw, clean, ready, report, quarantine)):
        artifact.uri = str(folder / str(number))
        tf.io.gfile.makedirs(artifact.uri)
    image_example_gen.Executor(context).Do({}, {"examples": [raw]}, {"source": source})
    deduplicator.Executor(context).Do(
        {"examples": [raw]},
        {"deduplicated_examples": [clean], "report": [report]},
        {"downstream_test_sets": json.dumps([downstream]), "within_train": 1},
    )
    preprocessor.Executor(context).Do(
        {"examples": [clean]},
        {"preprocessed_examples": [ready], "quarantine": [quarantine]},
        {"num_shards": 2},
    )
    return {
        "report": json.loads((folder / "3" / "report.json").read_text("utf-8")),
        "pairs": (folder / "3" / "pairs.jsonl").read_text("utf-8"),
        "quarantine": (folder / "4" / "quarantine.jsonl").read_text("utf-8"),
        "info": DatasetInfo.read(ready.uri),
        "examples": {split: read(ready.uri, split) for split in SPLITS},
    }


def read(folder: str, split: str) -> list[list[bytes]]:
    """The serialized examples of each shard of a split."""
    paths = sorted(glob.glob(examples.file_pattern(folder, split)))
    return [list(tf.data.TFRecordDataset(path).as_numpy_iterator()) for path in paths]


@pytest.fixture(scope="module")
def downstream(tmp_path_factory, write_image_folder) -> str:
    """Five images, which the class "cat" of the source has, too."""
    path = tmp_path_factory.mktemp("downstream")
    write_image_folder(path, classes=("cat",), per_class=5)
    return f"folder:{path}"


@pytest.fixture(scope="module")
def reference(bad_folder, downstream, tmp_path_factory) -> dict:
    return run_chain(f"folder:{bad_folder.path}", downstream, tmp_path_factory.mktemp("run"))


def test_good_images_are_kept_and_bad_ones_are_listed_with_the_reason(
    reference, bad_folder, downstream
):
    assert reference["report"]["duplicates_by_set"][downstream] > 0
    held = sum(len(shard) for shards in reference["examples"].values() for shard in shards)
    assert held == len(bad_folder.good) - reference["report"]["removed"]
    assert len(reference["quarantine"].splitlines()) == len(bad_folder.bad)
    assert sum(reference["report"]["unreadable"].values()) == len(bad_folder.bad)


@pytest.mark.parametrize("mode", MODES)
def test_workers_in_parallel_give_the_same_result(
    mode, reference, bad_folder, downstream, tmp_path
):
    assert run_chain(f"folder:{bad_folder.path}", downstream, tmp_path, mode) == reference
