# SPDX-License-Identifier: Apache-2.0
"""RunFacts: what one run has read, decided and produced, as JSON. No TensorFlow.

The pipeline writes it (it knows TFX and ML Metadata), `training_folder` makes it from the output of
`mixer train`, and `page` shows it. A section is None where its step did not run.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

PIPELINE, TRAINING = "pipeline", "training"

RECORDS = "reports"  # below the root of a local pipeline: one file for each run

# The state of a run, and of a step.
COMPLETE, CACHED, FAILED, STOPPED, UNFINISHED = (
    *("complete", "cached", "failed", "stopped"),
    "unfinished",  # it still runs, or was killed
)


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """The images.

    Attributes:
        source: the specification of the source, such as "folder:/data/pets".
        class_names: in label order.
        counts: split → class → number of images of the training and the evaluation.
        read: split → number of images that the source has; {} where that is not known.
        notes: one line per thing that a user should know.
        fingerprint: changes with the images of the source, or with how they were read; "" where it
            is not known.
    """

    source: str
    class_names: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    read: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def images(self) -> dict[str, int]:
        """Split → number of images."""
        return {split: sum(found.values()) for split, found in self.counts.items()}


@dataclasses.dataclass(frozen=True)
class QuarantineFacts:
    """The images that could not be used.

    Attributes:
        images: their number.
        reasons: reason → their number, and one of them.
        file: the list of all.
    """

    images: int
    reasons: dict[str, tuple[int, str]]
    file: str


@dataclasses.dataclass(frozen=True)
class DuplicateFacts:
    """The search for near-duplicates.

    Attributes:
        mode: what is done with them: "remove", "mark" or "report".
        removed: split → number of images removed.
        found: set → number of training images with a duplicate there.
        leaked: split → number of its images that have a duplicate in training, where marked.
        kept: why duplicates were kept → their number.
        page: the page of all pairs.
    """

    mode: str
    removed: dict[str, int]
    found: dict[str, int]
    leaked: dict[str, int]
    kept: dict[str, int]
    page: str


@dataclasses.dataclass(frozen=True)
class StatisticsFacts:
    """The measured images.

    Attributes:
        splits: split → title → text.
        anomalies: one line for each.
        page: the page with plots.
    """

    splits: dict[str, dict[str, str]]
    anomalies: tuple[str, ...]
    page: str


@dataclasses.dataclass(frozen=True)
class RecipeFacts:
    """The model and its training.

    Attributes:
        name: name of the recipe.
        fields: "section.field" → value.
        changes: "section.field" → the value of the recipe of that name, and the one used; None
            where no recipe of that name is known, such as for one from a file.
        tuned: "section.field" → the value that a search has found.
        parameters: number of parameters of the model; None where the classes are not known.
    """

    name: str
    fields: dict[str, Any]
    changes: dict[str, tuple[Any, Any]] | None
    tuned: dict[str, Any] = dataclasses.field(default_factory=dict)
    parameters: int | None = None


@dataclasses.dataclass(frozen=True)
class TrainingFacts:
    """What a training has logged.

    Attributes:
        log_dir: the folder of the event files.
        scalars: tag → (step, value), in order; the value is None where it is not finite.
        confusion: the confusion matrix of the evaluation split after the last epoch, as base64 of a
            PNG; "" where it was not logged.
        seconds: from the first to the last event.
    """

    log_dir: str
    scalars: dict[str, tuple[tuple[int, float | None], ...]]
    confusion: str = ""
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Mistake:
    """An image of the evaluation whose predicted class is wrong.

    Attributes:
        image: its path or id.
        class_name, predicted: its class, and the prediction of the model.
        probability: probability of the prediction.
        thumbnail: base64 of a JPEG; "" without.
        rank: the position of its class among all, from 1; None where it is not known.
        class_probability: the probability of its class; None where it is not known.
    """

    image: str
    class_name: str
    predicted: str
    probability: float
    thumbnail: str = ""
    rank: int | None = None
    class_probability: float | None = None


@dataclasses.dataclass(frozen=True)
class EvaluationFacts:
    """The results of a model on a split.

    Attributes:
        split: such as "test".
        metrics: name → value over all images.
        classes: class → number of its images, and of those that were recognized.
        mistaken_for: class → the most frequent wrong prediction; {} where it is not known.
        slices: name of a part of the images → number of images, and top-1 accuracy.
        mistakes: the most confident first; None where they are not known.
        worst_mistakes: those with the lowest probability of the right class, the lowest first.
        num_mistakes: number of all mistakes; 0 where `mistakes` is None.
        warnings, notes: one line for each.
        page: a page with the calibration and the confusion matrix; "" without.
    """

    split: str
    metrics: dict[str, float]
    classes: dict[str, tuple[int, int]]
    mistaken_for: dict[str, str] = dataclasses.field(default_factory=dict)
    slices: dict[str, tuple[int, float]] = dataclasses.field(default_factory=dict)
    mistakes: tuple[Mistake, ...] | None = None
    worst_mistakes: tuple[Mistake, ...] = ()
    num_mistakes: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    page: str = ""


@dataclasses.dataclass(frozen=True)
class Gate:
    """A condition of a push.

    Attributes:
        name: the step that decides.
        passed: whether the model may be pushed; None where the step did not run.
        reasons: why it may not, or what was looked at.
    """

    name: str
    passed: bool | None
    reasons: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PushFacts:
    """What the Pusher has done: the folder of the new version, or why there is none."""

    pushed: bool
    destination: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class StepFacts:
    """One execution of ML Metadata.

    Attributes:
        name: the step.
        state: "complete", "cached", "failed", …
        execution: its id.
        seconds: duration.
        inputs, outputs: name → ids of artifacts.
    """

    name: str
    state: str
    execution: int
    seconds: float | None = None
    inputs: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    outputs: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ArtifactFacts:
    """One artifact of ML Metadata.

    Attributes:
        id: 0 where the orchestrator has no number.
        type: such as "Model".
        name: the step and the output, such as "Trainer.model".
        uri: its folder.
    """

    id: int
    type: str
    name: str
    uri: str


@dataclasses.dataclass(frozen=True)
class Command:
    """A command to type: what it does, and its text."""

    title: str
    text: str


@dataclasses.dataclass(frozen=True)
class OtherResult:
    """A result of another command or step, such as a few-shot evaluation.

    Attributes:
        title: its name.
        figures: name → text.
        file: where it was found.
    """

    title: str
    figures: dict[str, str]
    file: str = ""


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """One run, from the source of the images to the served model.

    Attributes:
        kind: `PIPELINE` or `TRAINING`.
        name: name of the pipeline, or of the folder of the training.
        root: the folder of all outputs.
        started: ISO 8601 in UTC; "" where it is not known.
        written: when the facts were collected.
        state: one of the states above.
        error: the message of the step that failed; "" if none did.
        run: the name of the run in the orchestrator; "" where it is not known.
        code_version: version of mixer_tf.
        options: options of the pipeline that were given, as on the command line.
        model: the folder of the trained model; "" without one.
        others: see `OtherResult`.
        The other attributes are the sections.
    """

    kind: str
    name: str
    root: str
    started: str = ""
    written: str = ""
    state: str = COMPLETE
    error: str = ""
    run: str = ""
    code_version: str = ""
    options: tuple[str, ...] = ()
    model: str = ""
    data: DataFacts | None = None
    quarantine: QuarantineFacts | None = None
    duplicates: DuplicateFacts | None = None
    statistics: StatisticsFacts | None = None
    recipe: RecipeFacts | None = None
    training: TrainingFacts | None = None
    evaluation: EvaluationFacts | None = None
    gates: tuple[Gate, ...] = ()
    push: PushFacts | None = None
    steps: tuple[StepFacts, ...] = ()
    artifacts: tuple[ArtifactFacts, ...] = ()
    commands: tuple[Command, ...] = ()
    others: tuple[OtherResult, ...] = ()

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunFacts:
        """Reads what `to_json` wrote; fields of a later version of mixer_tf are left out.

        Raises:
            ValueError: the text is not JSON, or lacks fields.
        """
        try:
            return _make(cls, json.loads(text))
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"the facts of a run must have the fields of RunFacts: {error}") from (
                None
            )


def utc(seconds: float | None = None) -> str:
    """Returns a Unix time, or the present one, as ISO 8601 in UTC."""
    zone = datetime.timezone.utc
    moment = datetime.datetime.now(zone)
    moment = moment if seconds is None else datetime.datetime.fromtimestamp(seconds, zone)
    return moment.isoformat(timespec="seconds")


def _make(kind: type, values: Mapping[str, Any]):
    """A dataclass from the plain values of its fields."""
    hints = typing.get_type_hints(kind)
    return kind(
        **{name: _value(hints[name], value) for name, value in values.items() if name in hints}
    )


def _value(hint: Any, value: Any):
    """A value with the dataclasses and tuples that its type has, which JSON has not."""
    origin, parameters = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        given = [each for each in parameters if each is not types.NoneType]
        return None if value is None else _value(given[0], value)
    if dataclasses.is_dataclass(hint):
        return _make(hint, value)
    if origin is tuple:
        kinds = parameters[:1] * len(value) if parameters[-1] is Ellipsis else parameters
        return tuple(map(_value, kinds, value))
    if origin is dict:
        return {key: _value(parameters[1], each) for key, each in value.items()}
    return value
