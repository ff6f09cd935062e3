# SPDX-License-Identifier: Apache-2.0
"""Runs a configured pipeline in this process, with LocalDagRunner and ML Metadata in SQLite."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline, RunOptions

from mixer_tf import console
from mixer_tf.messages import did_you_mean
from mixer_tf.reports.stored import METADATA_FILE
from mixer_tf.training import requirements
from pipeline.configs import PipelineConfig
from pipeline.definition import create_pipeline
from pipeline.local import (
    beam_workers,
    leftovers,
    missing_outputs,
    progress,
    run_outputs,
    run_record,
)
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
    selected = _select(pipeline, from_step, to_step)
    _require_earlier_run(metadata_path, from_step)
    if "Tuner" in selected:
        # Or the steps before it, which run in this process, would take the memory of the trials.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if {"Tuner", "Trainer"} & selected:
        requirements.require_devices(config.strategy, config.recipe)
    os.makedirs(config.root, exist_ok=True)
    notes = (
        *leftovers.remove(connection, config.root),
        *missing_outputs.forget(connection, config.root),
    )
    for note in notes:
        print(f"note: {note}")
    if from_step:
        _require_earlier_outputs(connection, pipeline, from_step, to_step)
    with contextlib.suppress(FileNotFoundError):  # this run may fail
        os.remove(os.path.join(config.root, FILE_NAME))
    if to_step and not from_step:
        _remove_other_steps(pipeline, selected)
    with (
        _environment(config.training_environment),
        run_record.recorded(config, connection),
        beam_workers.watch(),
        progress.show_steps(len(selected)) as steps,
    ):
        LocalDagRunner().run(pipeline, run_options=_run_options(from_step, to_step))
    outputs = RunOutputs(connection, ran=set(steps))
    image = write_sample(outputs.uri("Preprocessor", "preprocessed_examples"), config.root)
    if config.warm_start and "Trainer" in steps:
        notes = (*notes, _note_of_warm_start(outputs.base_model()))
    if config.predict and "BulkPredictor" not in steps:
        notes = (*notes, "--predict: the step BulkPredictor was not part of this run")
    summary = summarize(steps, outputs, _commands(config, outputs, image), notes)
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


def _note_of_warm_start(base_model: str | None) -> str:
    if base_model:
        return f"the training started from the last blessed model, {console.short_path(base_model)}"
    return (
        "--warm-start: there is no blessed model of these classes yet; the training started from "
        "the weights of the recipe"
    )


def _require_earlier_outputs(
    connection, pipeline: Pipeline, from_step: str, to_step: str | None = None
) -> None:
    last = run_outputs.pipeline_of_newest_run(connection)
    if last and last != pipeline.pipeline_info.pipeline_name:
        raise ValueError(
            f"--from={from_step} needs the outputs of a run of this name with the same classes; "
            "the last one had others. Run once without --from."
        )
    nodes = {node.id: node for node in pipeline.components}
    earlier = _reachable(nodes[from_step], "upstream_nodes") - {from_step}
    selected = _select(pipeline, from_step, to_step)
    needed = set().union(*(_reachable(nodes[step], "upstream_nodes") for step in selected))
    not_there = needed - selected - run_outputs.steps_of_newest_run(connection)
    if not_there:
        raise ValueError(
            f"--from={from_step} needs the outputs of the last run; it did not complete "
            f"{', '.join(sorted(not_there))}. Run once without --from and --to."
        )
    gone = earlier & missing_outputs.steps_of_newest_run(connection)
    if gone:
        raise ValueError(
            f"--from={from_step} needs the outputs of earlier steps; those of "
            f"{', '.join(sorted(gone))} are gone. Run once without --from."
        )


def _select(pipeline: Pipeline, from_step: str | None, to_step: str | None) -> set[str]:
    """The ids of the steps that will run: from `from_step` to `to_step`, both included."""
    nodes = {node.id: node for node in pipeline.components}
    for step in filter(None, (from_step, to_step)):
        if step not in nodes:
            raise ValueError(_unknown_step(step, list(nodes)))
    after = _reachable(nodes[from_step], "downstream_nodes") if from_step else set(nodes)
    before = _reachable(nodes[to_step], "upstream_nodes") if to_step else set(nodes)
    if not after & before:
        raise ValueError(
            f"--to must come after --from; {to_step} does not depend on {from_step}. "
            "Swap them, or give only one."
        )
    return after & before


def _remove_other_steps(pipeline: Pipeline, selected: set[str]) -> None:
    """Cuts the graph; TFX's own partial runs require an earlier run, which may not exist."""
    kept = [node for node in pipeline.components if node.id in selected]
    for node in kept:
        for other in set(node.downstream_nodes) - set(kept):
            node.remove_downstream_node(other)
    pipeline.components = kept


def _reachable(node, direction: str) -> set[str]:
    found = {node.id}
    for neighbor in getattr(node, direction):
        found |= _reachable(neighbor, direction)
    return found


def _unknown_step(step: str, known: list[str]) -> str:
    hint = did_you_mean(step, known, most=1)
    return f"there is no step {step!r}.{hint} The steps are {', '.join(known)}."


def _run_options(from_step: str | None, to_step: str | None) -> RunOptions | None:
    if not from_step:
        return None
    return RunOptions(from_nodes=[from_step], to_nodes=[to_step] if to_step else None)


def _require_earlier_run(metadata_path: str, from_step: str | None) -> None:
    if from_step and not os.path.exists(metadata_path):
        raise ValueError(
            f"--from={from_step} needs the outputs of an earlier run; {metadata_path} does not "
            "exist. Run once without --from."
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
