# SPDX-License-Identifier: Apache-2.0
"""The work of FewShotEvaluator: the features of each shard in parallel, the probes in one place."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence

import apache_beam as beam
import numpy as np

from mixer_tf import storage
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.evaluation.fewshot_report import JSON_FILE
from mixer_tf.features import TEST, TRAIN
from mixer_tf.messages import without_credentials

_ROWS_AT_ONCE = 1024  # in one element of Beam


@dataclasses.dataclass(frozen=True)
class Part:
    """The features of some images of one split, small enough to be sent between workers.

    Attributes:
        split: the split of the images.
        sources, labels: path or id, and label, of each usable image.
        values: float32 [N, D].
        problems: (path, reason) of the others.
        facts: what the features are, as `fewshot_source.describe` returns it.
    """

    split: str
    sources: tuple[str, ...]
    labels: tuple[int, ...]
    values: np.ndarray
    problems: tuple[tuple[str, str], ...]
    facts: dict


class ProbeExamples(beam.PTransform):
    """Probes a model on the training and test images of an Examples folder; writes fewshot.json.

    The worker that solves the regressions holds the features of all these images.

    Args:
        folder: the Examples folder to read.
        model_dir: the SavedModel of mixer_tf.
        output_folder: the folder to write to.
        shots: numbers of training images of each class.
    """

    def __init__(self, folder: str, model_dir: str, output_folder: str, shots: Sequence[int]):
        super().__init__()
        self._folder, self._model_dir = folder, model_dir
        self._output_folder, self._shots = output_folder, tuple(shots)

    def expand(self, pbegin):
        shards = [
            (path, split)
            for split in (TRAIN, TEST)
            for path in examples.list_shards(self._folder, split)
        ]
        return (
            pbegin
            | "Shards" >> beam.Create(shards, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Features" >> beam.ParDo(ComputeFeatures(self._model_dir))
            | "Gather" >> beam.combiners.ToList()
            | "Probe" >> beam.Map(write_report, self._folder, self._output_folder, self._shots)
        )


class ComputeFeatures(beam.DoFn):
    """(path of a shard, split) → its features in parts; a worker loads the model once."""

    def __init__(self, model_dir: str):
        super().__init__()
        self._model_dir = model_dir
        self._extractor = None

    def setup(self):
        from mixer_tf.evaluation import image_features

        self._extractor = image_features.open_extractor(self._model_dir)

    def process(self, path_and_split: tuple[str, str]) -> Iterator[Part]:
        from mixer_tf.evaluation import fewshot_source, image_features

        path, split = path_and_split
        facts = fewshot_source.describe(self._extractor)
        rows, problems = image_features.extract(self._extractor, examples.read_records(path))
        for first in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
            part = rows[first : first + _ROWS_AT_ONCE]
            sources, labels, values = zip(*part, strict=True) if part else ((), (), ())
            found = tuple(problems) if first == 0 else ()
            yield Part(split, sources, labels, np.array(values, np.float32), found, facts)


def write_report(
    parts: Sequence[Part], folder: str, output_folder: str, shots: Sequence[int]
) -> None:
    """Probes the features of all parts, and writes `fewshot.json`.

    Args:
        parts: the features, in any order.
        folder: the Examples folder that they belong to.
        output_folder, shots: see `ProbeExamples`.
    """
    report = json.dumps(_report(parts, DatasetInfo.read(folder), shots), indent=2)
    storage.make_folder(output_folder)
    storage.write_text(os.path.join(output_folder, JSON_FILE), report)


def _report(parts: Sequence[Part], info: DatasetInfo, shots: Sequence[int]) -> dict:
    from mixer_tf.evaluation import fewshot_source, image_features

    described = parts[0].facts if parts else {"features": {"dimension": 1}}
    dim = described["features"]["dimension"]
    features = {split: image_features.in_order(_rows(parts, split), dim) for split in (TRAIN, TEST)}
    facts = {
        "source": without_credentials(info.source),
        **described,
        **{split: {"splits": [split], "images": len(features[split])} for split in features},
        "classes": info.num_classes,
    }
    empty = [split for split in features if not len(features[split])]
    if empty:
        note = f"few-shot: no usable image in the split {' and '.join(empty)}"
        return {**facts, "seeds": [], "results": [], "notes": [note]}
    problems = sorted(problem for part in parts for problem in part.problems)
    report = fewshot_source.probe(
        features[TRAIN],
        features[TEST],
        info.class_names,
        facts,
        shots=shots,
        leave_out=True,
        notes=fewshot_source.unusable_notes(problems),
    )
    found = report.to_dict()
    return {**found, "notes": [f"few-shot: {note}" for note in found["notes"]]}


def _rows(parts: Sequence[Part], split: str) -> Iterator[tuple[str, int, np.ndarray]]:
    for part in parts:
        if part.split == split:
            yield from zip(part.sources, part.labels, part.values, strict=True)
