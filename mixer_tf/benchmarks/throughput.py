# SPDX-License-Identifier: Apache-2.0
"""Throughput of models: the best over batch sizes, as the paper measures it (section 3).

Each measurement runs in a process of its own. A batch that would not fit in memory by the estimate
of `models.costs` is not tried, so that no process is killed for want of memory.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from mixer_tf.benchmarks import machine
from mixer_tf.models import costs, registry

BATCH_SIZES = tuple(2**i for i in range(5, 14))  # 32, 64, …, 8192
FORWARD, TRAINING, SERVING = "forward", "training", "serving"
MODES = (FORWARD, TRAINING)  # those of the paper
_PROGRAM = f"{__package__}.throughput_process"
# Beyond the estimate: fragments, and what differs from it; see docs/planning.md.
_MARGIN = 1.3
# For each multiply-add of the forward pass.
_OPERATIONS = {FORWARD: 2, TRAINING: 6, SERVING: 2}
# With gradients, moments and what an update needs; a served model is exported and loaded.
_WEIGHT_COPIES = {FORWARD: 1, TRAINING: 8, SERVING: 4}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is measured.

    Attributes:
        model: name of the model.
        mode: "forward", "training", or "serving": the signature `pixels` of the exported model.
        batch_size: images of a batch.
        image_size: side in pixels.
        num_classes: number of outputs.
        precision: dtype policy.
        jit_compile: whether XLA compiles it.
        fields: fields of the model's configuration that replace those of its name.
        accumulation_steps: number of equal parts in which a batch is computed.
        recompute: whether training computes each block a second time, to need less memory.
        steps_per_execution: number of steps between two returns to Python.
        devices: number of devices, of which each computes an equal part of the batch; with more
            than one on a CPU, they are logical devices that share its cores.
    """

    model: str
    mode: str
    batch_size: int
    image_size: int = registry.IMAGE_SIZE
    num_classes: int = registry.NUM_CLASSES
    precision: str = "float32"
    jit_compile: bool = False
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)
    accumulation_steps: int = 1
    recompute: bool = False
    steps_per_execution: int = 1
    devices: int = 1

    @property
    def description(self) -> registry.Description:
        """The configuration and the cost of the model."""
        sizes = {"image_size": self.image_size, "num_classes": self.num_classes}
        return registry.describe(self.model, **sizes, **self.fields)


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found for a setting.

    Attributes:
        setting: the setting.
        images_per_second: None where it was not measured.
        problem: why not; "" where it was.
        matrix_rate: floating-point operations per second of a matrix product, measured by the same
            process right before and after; None where nothing was measured.
        first_seconds: until the first batch was done: making, tracing and compiling the model, but
            no imports.
        memory: bytes by which the peak memory grew in the first two batches: that of the process,
            or on a GPU what it has there.
    """

    setting: Setting
    images_per_second: float | None = None
    problem: str = ""
    matrix_rate: float | None = None
    first_seconds: float | None = None
    memory: int | None = None

    @property
    def utilization(self) -> float | None:
        """The part of the rate of a matrix product that the model reaches.

        What is computed a second time does not count.
        """
        if self.images_per_second is None:
            return None
        operations = _OPERATIONS[self.setting.mode] * self.setting.description.multiply_adds
        return self.images_per_second * operations / self.matrix_rate


def estimate_memory(setting: Setting) -> int:
    """Returns the bytes that a measurement is expected to need, with a margin."""
    config = setting.description.config
    if setting.mode == TRAINING:
        per_image = costs.training_activation_bytes(config, setting.precision, setting.recompute)
    else:
        per_image = costs.inference_activation_bytes(config, setting.precision)
    pixels = 5 * 3 * setting.image_size**2  # as bytes and as float32
    weights = _WEIGHT_COPIES[setting.mode] * costs.weight_bytes(config)
    return int(_MARGIN * setting.batch_size * (per_image + pixels)) + weights


def measure(
    models: Sequence[str],
    modes: Sequence[str],
    batch_sizes: Sequence[int],
    *,
    seconds: float,
    memory: int | None = None,
    **options,
) -> Iterator[Result]:
    """Measures each model with increasing batches, until memory ends.

    Args:
        models: names of models.
        modes: some of `MODES`.
        batch_sizes: in increasing order.
        seconds: duration of each measurement, after the first batch.
        memory: bytes that a process may use; None for what is free.
        **options: the other fields of `Setting`.

    Yields:
        One result for each setting; after one that does not fit, the larger batches are left out.
    """
    for model in models:
        for mode in modes:
            for size in batch_sizes:
                setting = Setting(model, mode, size, **options)
                result = measure_setting(setting, seconds, memory)
                yield result
                if result.problem:
                    break


def measure_setting(
    setting: Setting,
    seconds: float,
    memory: int | None = None,
    program: str = _PROGRAM,
    python: str = sys.executable,
) -> Result:
    """Measures in a process of its own; where that is not possible, the result says why.

    Args:
        setting: what to measure.
        seconds, memory: as in `measure`.
        program: the module that measures.
        python: path of the interpreter that runs it.
    """
    free = machine.this_machine().memory if memory is None else memory
    needed = estimate_memory(setting)
    if needed > free:
        problem = f"needs about {needed / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free"
        return Result(setting, problem=problem)
    arguments = json.dumps({**dataclasses.asdict(setting), "seconds": seconds})
    command = [python, "-m", program, arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return Result(setting, **json.loads(done.stdout.splitlines()[-1]))
    return Result(setting, problem=_reason(done))


def _reason(done: subprocess.CompletedProcess) -> str:
    if done.returncode < 0:
        return f"the process was ended by signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return lines[-1][:200] if lines else f"the process ended with exit code {done.returncode}"


def best(results: Sequence[Result]) -> list[Result]:
    """Returns the fastest batch of each model and mode, in the order of the results."""
    found: dict[tuple[str, str], Result] = {}
    for result in results:
        key = result.setting.model, result.setting.mode
        if result.images_per_second is not None:
            other = found.get(key)
            if other is None or result.images_per_second > other.images_per_second:
                found[key] = result
    return list(found.values())


def all_models() -> list[str]:
    """Returns the names of all models, one family after the other."""
    return [name for family in registry.FAMILIES for name in registry.list_models(family)]
