# SPDX-License-Identifier: Apache-2.0
"""Keeps the mistakes of the evaluated model, from the predictions that TFMA makes anyway.

They branch off as one more extractor, behind those of TFMA, and end in one file; no image is read
or predicted twice.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import metrics

from components import evaluation_metrics
from mixer_tf.evaluation import mistakes
from mixer_tf.evaluation.classification import LabeledPrediction, make_prediction
from mixer_tf.evaluation.mistakes import Mistakes
from mixer_tf.features import ImageRecord

_STAGE = "KeepMistakes"
_EXTRACTS, _MISTAKES = "extracts", "mistakes"


@dataclasses.dataclass(frozen=True)
class _Target:
    """Where the mistakes go: a folder, and the classes of the model in label order."""

    folder: str
    class_names: tuple[str, ...]


# TFX hands no path to its hook, which it calls while it builds the Beam pipeline.
_target: contextvars.ContextVar[_Target] = contextvars.ContextVar("target of the mistakes")


@contextlib.contextmanager
def keeping_mistakes(folder: str, class_names: Iterable[str]) -> Iterator[None]:
    """Within the context, `make_extractor` writes to this folder.

    Args:
        folder: an existing folder; `mistakes.jsonl` is written there.
        class_names: the classes of the model, in label order.
    """
    token = _target.set(_Target(folder, tuple(class_names)))
    try:
        yield
    finally:
        _target.reset(token)


def make_extractor(eval_config: tfma.EvalConfig) -> tfma.extractors.Extractor:
    """Returns the extractor that keeps the mistakes, to be added behind those of TFMA.

    Args:
        eval_config: TFMA's configuration, with its defaults filled in.
    """
    target = _target.get()
    keep = KeepMistakes(eval_config, target.folder, target.class_names)
    return tfma.extractors.Extractor(stage_name=_STAGE, ptransform=keep)


class KeepMistakes(beam.PTransform):
    """Extracts of single images → the same extracts; writes the mistakes to a file.

    With a baseline, they are those of the new model.
    """

    def __init__(self, eval_config: tfma.EvalConfig, folder: str, class_names: tuple[str, ...]):
        """Makes the transform.

        Args:
            eval_config: TFMA's configuration.
            folder: an existing folder; `mistakes.jsonl` is written there.
            class_names: the classes of the model, in label order.
        """
        super().__init__()
        self._find = _FindMistakes(eval_config, class_names)
        self._folder = folder

    def expand(self, extracts: beam.PCollection) -> beam.PCollection:
        found = extracts | "Find" >> beam.ParDo(self._find).with_outputs(_MISTAKES, main=_EXTRACTS)
        _ = (
            found[_MISTAKES]
            | "Choose" >> beam.CombineGlobally(_ChooseMistakes())
            | "Write" >> beam.Map(_write, self._folder)
        )
        return found[_EXTRACTS]


class _FindMistakes(beam.DoFn):
    """Passes the extracts on; wrong predictions, with the encoded image, are a second output."""

    def __init__(self, eval_config: tfma.EvalConfig, class_names: tuple[str, ...]):
        (model_name,) = [spec.name for spec in eval_config.model_specs if not spec.is_baseline]
        self._class_names = class_names
        self._options = {"eval_config": eval_config, "model_name": model_name}

    def process(self, extracts: tfma.types.Extracts) -> Iterator[object]:
        yield extracts
        inputs = metrics.StandardMetricInputs(extracts)
        for label, probabilities in evaluation_metrics.read_predictions(inputs, **self._options):
            predicted = int(np.argmax(probabilities))
            if predicted != label:
                record = ImageRecord.from_example(inputs.inputs.item())
                prediction = self._prediction(record, label, probabilities, predicted)
                yield beam.pvalue.TaggedOutput(_MISTAKES, (prediction, record.encoded))

    def _prediction(
        self, record: ImageRecord, label: int, probabilities: np.ndarray, predicted: int
    ) -> LabeledPrediction:
        """The class is that of the label, as in the other figures of the evaluation."""
        names = self._class_names
        return make_prediction(
            record.source, names[label], label, probabilities, [predicted], names
        )


class _ChooseMistakes(beam.CombineFn):
    """(prediction, encoded image) → Mistakes; of equal ones, the first by the name of the image.

    An accumulator holds previews, and no encoded image.
    """

    def create_accumulator(self) -> Mistakes:
        return Mistakes(mistakes.MAX_PAGE_MISTAKES)

    def add_input(self, accumulator: Mistakes, found: tuple[LabeledPrediction, bytes]) -> Mistakes:
        prediction, encoded = found
        accumulator.add(prediction, prediction.image, encoded)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Mistakes]) -> Mistakes:
        merged = self.create_accumulator()
        for each in accumulators:
            merged.merge(each)
        return merged

    def extract_output(self, accumulator: Mistakes) -> Mistakes:
        return accumulator


def _write(found: Mistakes, folder: str) -> None:
    mistakes.write(folder, found.by_kind())
