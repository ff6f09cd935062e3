# SPDX-License-Identifier: Apache-2.0
"""Runs a configured pipeline in this process, with LocalDagRunner and ML Metadata in SQLite."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from components.trainer import finished_trainings
from mixer_tf import console
from mixer_tf.reports.stored import METADATA_FILE
from mixer_tf.training import requirements
from pipeline.configs import PipelineConfig
from pipeline.definition import create_pipeline
from pipeline.local import (
    beam_workers,
    leftovers,
    missing_outputs,
    progress,
    run_record,
    step_selection,
)
from pipeline.local.progress import Step
from pipeline.local.run_outputs import RunOutputs
from pipeline.local.sample import write_sample
from pipeline.local.summary import FILE_NAME, Summary, summarize


def run(
    config: PipelineConfig, from_step: str | None = None, to_step: str | None = None
) -> Summary:
    """Runs the pipeline, prints a line for each step, and writes `summary.json`.

    Args:
        config: what to run.
        from_step: the first step to run; the outputs of earlier ones come from the last run.
        to_step: the last step to run.

    Raises:
        ValueError: a step of that name does not exist, or there are no outputs of an earlier run
            that could replace the steps before `from_step`; or the strategy's devices are missing.
        ConnectionError: no TPU responds.
        StepError: a step failed.
    """
    metadata_path = os.path.join(config.root, METADATA_FILE)
    connection = metadata.sqlite_metadata_connection_config(metadata_path)
    pipeline = create_pipeline(config, connection)
    selected = step_selection.select(pipeline, from_step, to_step)
    step_selection.require_earlier_run(metadata_path, from_step)
    _require_devices(config, selected)
    os.makedirs(config.root, exist_ok=True)
    notes = _clean_up(config, connection)
    if from_step:
        step_selection.require_earlier_outputs(connection, pipeline, from_step, to_step)
    with contextlib.suppress(FileNotFoundError):  # this run may fail
        os.remove(os.path.join(config.root, FILE_NAME))
    if to_step and not from_step:
        step_selection.remove_other_steps(pipeline, selected)
    options = step_selection.run_options(from_step, to_step)
    with (
        _environment(config.training_environment),
        run_record.recorded(config, connection),
        beam_workers.watch(),
        progress.show_steps(len(selected)) as steps,
        _finished_training_is_forgotten(config, steps),
    ):
        LocalDagRunner().run(pipeline, run_options=options)
    return _summarize(config, RunOutputs(connection, ran=set(steps)), steps, notes)


def _require_devices(config: PipelineConfig, selected: Collection[str]) -> None:
    """Checks before the first step that the devices of the training are there."""
    if "Tuner" in selected:
        # Or the steps before it, which run in this process, would take the memory of the trials.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if "Tuner" in selected or "Trainer" in selected:
        requirements.require_devices(config.strategy, config.recipe)


def _clean_up(config: PipelineConfig, connection) -> list[str]:
    """Removes what runs that were killed have left; returns and prints notes of it."""
    notes = [
        *leftovers.remove(connection, config.root),
        *missing_outputs.forget(connection, config.root),
    ]
    for note in notes:
        print(f"note: {note}")
    return notes


def _summarize(
    config: PipelineConfig, outputs: RunOutputs, steps: dict[str, Step], notes: Sequence[str]
) -> Summary:
    """Returns the summary of a run that has ended, and writes it to the root."""
    image = write_sample(outputs.uri("Preprocessor", "preprocessed_examples"), config.root)
    notes = list(notes)
    if config.warm_start and "Trainer" in steps:
        notes.append(_note_of_warm_start(outputs.base_model()))
    if config.predict and "BulkPredictor" not in steps:
        notes.append("--predict: the step BulkPredictor was not part of this run")
    summary = summarize(steps, outputs, _commands(config, outputs, image), tuple(notes))
    summary.write(config.root)
    return summary


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Within the block, the environment has these variables."""
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _finished_training_is_forgotten(
    config: PipelineConfig, steps: Mapping[str, Step]
) -> Iterator[None]:
    """After the block, also a failed one, removes the checkpoints of a model that is published."""
    try:
        yield
    finally:
        if "Trainer" in steps:
            finished_trainings.remove(config.checkpoint_path)


def _note_of_warm_start(base_model: str | None) -> str:
    if base_model:
        return f"the training started from the last blessed model, {console.short_path(base_model)}"
    return (
        "--warm-start: there is no blessed model of these classes yet; the training started from "
        "the weights of the recipe"
    )


def _commands(config: PipelineConfig, outputs: RunOutputs, image: str | None) -> dict[str, str]:
    """The commands to type next."""
    logs = console.short_path(config.log_path or os.path.join(config.root, "Trainer", "model_run"))
    is_served = outputs.serves_this_model()
    model = config.serving_path if is_served else outputs.saved_model() or config.serving_path
    image = console.short_path(image) if image else "IMAGE"
    return {
        "tensorboard": console.command_line("tensorboard", "--logdir", logs),
        "predict": console.command_line("mixer", "predict", console.short_path(model), image),
        "report": console.command_line("mixer", "report", console.short_path(config.root)),
    }
