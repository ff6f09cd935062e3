# SPDX-License-Identifier: Apache-2.0
"""What each step gets on a cluster: image, CPU, memory, accelerator, retries, timeout, cache, Beam.

Imports neither TensorFlow nor TFX.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from mixer_tf.messages import did_you_mean

TRAINER, TUNER = "Trainer", "Tuner"
# Cached, they would claim to have pushed what is served already, or was removed since.
NEVER_CACHED = ("Pusher", "EndpointDeployer")

_HOUR = 3600
_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("KMGT", start=1)}
_QUANTITY = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(sorted(_UNITS, key=len, reverse=True))})")


@dataclasses.dataclass(frozen=True)
class StepResources:
    """What one step gets.

    Attributes:
        image: the container image.
        cpu: number of CPU cores, as Kubernetes writes it: "4", "0.5" or "500m".
        memory: memory, as Kubernetes writes it: "8Gi" or "8G".
        accelerator: kind of accelerator; None for none. For Kubeflow the name of the resource, such
            as "nvidia.com/gpu" or "google.com/tpu"; for Vertex its name, such as "NVIDIA_L4".
        accelerator_count: number of accelerators.
        node_selector: labels that a Kubernetes node must have.
        retries: how often a step that failed is started again.
        timeout: seconds after which a step is stopped; None for no limit.
        cache: whether the step is skipped if its inputs and code are unchanged.
        beam: options for Apache Beam, in addition to those of all steps.
        environment: environment variables.
    """

    image: str
    cpu: str = "2"
    memory: str = "8Gi"
    accelerator: str | None = None
    accelerator_count: int = 1
    node_selector: Mapping[str, str] = dataclasses.field(default_factory=dict)
    retries: int = 2
    timeout: int | None = 6 * _HOUR
    cache: bool = True
    beam: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        parse_cpu(self.cpu)
        parse_memory(self.memory)
        if self.accelerator is not None and self.accelerator_count < 1:
            raise ValueError(f"accelerator_count must be 1 or more; got {self.accelerator_count}.")
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more; got {self.retries}.")
        if self.timeout is not None and self.timeout < 1:
            raise ValueError(f"timeout must be 1 second or more, or none; got {self.timeout}.")


# What differs from the defaults of StepResources, measured with 1,797 digits and 50,000 images of
# CIFAR-10: importing TFX takes 0.8 GB, the Beam steps up to 2 GB. The Trainer's are unmeasured.
_SMALL = {"cpu": "1", "memory": "4Gi", "timeout": _HOUR}
_DEFAULTS: dict[str, dict[str, object]] = {
    "DataFingerprint": _SMALL,
    "ImportSchemaGen": _SMALL,
    "ExampleValidator": _SMALL,
    "DriftValidator": _SMALL,
    "LastPushedModel": _SMALL,
    "ModelChecker": {"cpu": "2", "memory": "8Gi", "timeout": _HOUR},
    "Pusher": {**_SMALL, "cache": False},
    "RunReport": _SMALL,
    "EndpointDeployer": {**_SMALL, "cache": False, "timeout": 2 * _HOUR},
    TRAINER: {"cpu": "8", "memory": "32Gi", "timeout": 5 * 24 * _HOUR},
}


def make_resources(
    steps: Sequence[str],
    beam_steps: Iterable[str],
    image: str,
    train_image: str | None = None,
    assignments: Sequence[str] = (),
) -> dict[str, StepResources]:
    """Returns what each step gets.

    Args:
        steps: the names of the steps that run in a container.
        beam_steps: the steps among them that run on Apache Beam.
        image: the image of all steps.
        train_image: the image of the Trainer and the Tuner; None for `image`.
        assignments: "STEP.FIELD=VALUE" texts, such as "Trainer.cpu=16"; the last one of a field
            wins. The Tuner gets what the Trainer gets, but for its own assignments.

    Raises:
        ValueError: an unknown step or field, or a value that is not valid.
    """
    values = {step: {"image": image, **_DEFAULTS.get(step, {})} for step in steps}
    if train_image and TRAINER in values:
        values[TRAINER]["image"] = train_image
    parsed = [_parse(assignment, steps) for assignment in assignments]
    for step, fields in parsed:
        values[step] |= fields
    if TUNER in values and TRAINER in values:
        values[TUNER] = dict(values[TRAINER])
        for step, fields in parsed:
            values[TUNER] |= fields if step == TUNER else {}
    resources = {step: _make(step, fields) for step, fields in values.items()}
    for step in set(steps) - set(beam_steps):
        if resources[step].beam:
            raise ValueError(
                f"only a step that runs on Apache Beam takes beam options; {step} does not. Steps "
                f"on Beam: {', '.join(sorted(beam_steps))}."
            )
    for step in NEVER_CACHED:
        if step in resources and resources[step].cache:
            raise ValueError(
                f"{step} must not be cached: it would claim to have pushed what is served already. "
                f"Leave {step}.cache out."
            )
    return resources


def parse_cpu(text: str) -> float:
    """Returns a number of cores: "500m" → 0.5.

    Raises:
        ValueError: it is not a positive number, or one of thousandths.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", text)
    cores = float(match[1]) / (1000 if match[2] else 1) if match else 0
    if not cores > 0:
        raise ValueError(f"cpu must be a number of cores such as 4, 0.5 or 500m; got {text!r}.")
    return cores


def parse_memory(text: str) -> float:
    """Returns a number of bytes: "8Gi" → 8589934592.

    Raises:
        ValueError: it is not a number with a unit of Kubernetes.
    """
    match = _QUANTITY.fullmatch(text)
    size = float(match[1]) * _UNITS[match[2]] if match else 0
    if size < 2**20:
        raise ValueError(f"memory must be an amount such as 8Gi or 8G; got {text!r}.")
    return size


def _make(step: str, fields: dict) -> StepResources:
    try:
        return StepResources(**fields)
    except ValueError as error:
        raise ValueError(f"{step}.{error}") from None


def _parse(assignment: str, steps: Sequence[str]) -> tuple[str, dict[str, object]]:
    """Returns the step and the fields of StepResources that an assignment sets."""
    path, equals, text = assignment.partition("=")
    step, dot, field = path.strip().partition(".")
    if not equals or not dot:
        raise ValueError(
            f"--step must be STEP.FIELD=VALUE; got {assignment!r}. Write for example "
            "Trainer.cpu=16."
        )
    if step not in steps:
        hint = did_you_mean(step, steps, most=1)
        raise ValueError(f"there is no step {step!r}.{hint} The steps are {', '.join(steps)}.")
    if field not in _READERS:
        hint = did_you_mean(field, _READERS, most=1)
        raise ValueError(f"a step has no {field!r}.{hint} Fields: {', '.join(_READERS)}.")
    try:
        value = _READERS[field](text.strip())
    except ValueError as error:
        raise ValueError(f"{step}.{field}: {error}") from None
    return step, value if field == "accelerator" else {field: value}


def _accelerator(text: str) -> dict[str, object]:
    """Such as "nvidia.com/gpu:2"; "none" for none."""
    name, _, count = text.partition(":")
    if name.lower() == "none":
        return {"accelerator": None}
    return {"accelerator": name, "accelerator_count": _integer(count or "1")}


def _labels(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if not all(name and equals and value for name, equals, value in pairs):
        raise ValueError(f"labels must be NAME=VALUE, separated by commas; got {text!r}.")
    return {name: value for name, _, value in pairs}


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"must be an integer; got {text!r}.")
    return int(text)


def _seconds(text: str) -> int | None:
    return None if text.lower() == "none" else _integer(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"must be true or false; got {text!r}.")
    return text.lower() == "true"


_READERS = {
    "image": str,
    "cpu": str,
    "memory": str,
    "accelerator": _accelerator,
    "node_selector": _labels,
    "retries": _integer,
    "timeout": _seconds,
    "cache": _boolean,
    "beam": lambda text: tuple(shlex.split(text)),
}
