# SPDX-License-Identifier: Apache-2.0
"""The work of BulkPredictor: reads a source in parallel and writes a line for each image."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import apache_beam as beam

from components.image_example_gen.transforms import ReadSplit
from mixer_tf import storage
from mixer_tf.datasets import validation
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import ImageRecord
from mixer_tf.images import UnusableImageError
from mixer_tf.messages import printable

COUNTS_FILE = "counts.json"
IMAGES, UNUSABLE = "images", "unusable"
PREFIX, SUFFIX = "predictions", ".jsonl"
_BATCH_SIZE = 32


class PredictSource(beam.PTransform):
    """Writes the predictions for every split of a source, and `counts.json`, into a folder."""

    def __init__(self, source: Source, model_dir: str, folder: str):
        super().__init__()
        self._source, self._model_dir, self._folder = source, model_dir, folder

    def expand(self, pbegin):
        records = [
            pbegin | f"Read[{split}]" >> ReadSplit(self._source, split)
            for split in self._source.splits
        ]
        results = (
            records
            | beam.Flatten()
            | beam.BatchElements(min_batch_size=_BATCH_SIZE, max_batch_size=_BATCH_SIZE)
            | "Predict" >> beam.ParDo(Predict(self._model_dir))
        )
        lines = results | "Line" >> beam.Map(to_line)
        _ = lines | "Write" >> beam.io.WriteToText(os.path.join(self._folder, PREFIX), SUFFIX)
        return (
            results
            | "Kind" >> beam.Map(lambda result: UNUSABLE if "error" in result else IMAGES)
            | beam.combiners.Count.PerElement()
            | beam.combiners.ToList()
            | "Counts" >> beam.Map(write_counts, os.path.join(self._folder, COUNTS_FILE))
        )


class Predict(beam.DoFn):
    """Batch of ImageRecords → one result for each; a worker loads the model once."""

    def __init__(self, model_dir: str):
        super().__init__()
        self._model_dir = model_dir
        self._predictor = None

    def setup(self):
        from mixer_tf.serving.predictor import Predictor

        self._predictor = Predictor(self._model_dir)

    def process(self, batch: Sequence[ImageRecord]) -> Iterator[dict]:
        usable = {}
        examined = validation.examine_records(batch, labeled=False)
        for index, (record, found) in enumerate(examined):
            if isinstance(found, UnusableImageError):
                yield {"image": record.source, "error": str(found)}
            else:
                usable[index] = found[0].encoded
        results = self._predictor.classify(list(usable.values())) if usable else []
        for index, result in zip(usable, results, strict=True):
            found = [
                {"class_name": each.class_name, "probability": each.probability} for each in result
            ]
            yield {"image": batch[index].source, "predictions": found}


def to_line(result: dict) -> str:
    return json.dumps({**result, "image": printable(result["image"])}, ensure_ascii=False)


def write_counts(counts: Sequence[tuple[str, int]], path: str) -> None:
    storage.write_text(path, json.dumps({IMAGES: 0, UNUSABLE: 0, **dict(counts)}))
