# SPDX-License-Identifier: Apache-2.0
"""The record of each local run, `<root>/reports/<time>.json`: what `mixer report` and `runs` read.

It is written when the run starts, and again when it ends, also by an error or Ctrl-C. Then it has
the facts of the artifacts, and the executions in ML Metadata.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Iterator, Sequence

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx.types import Artifact, artifact_utils

from components.run_report.collection import OUTPUTS, collect
from mixer_tf import storage
from mixer_tf.messages import clear_message
from mixer_tf.recipes.schema import Recipe
from mixer_tf.reports import recipe_changes, stored
from mixer_tf.reports.facts import (
    CACHED,
    COMPLETE,
    FAILED,
    PIPELINE,
    STOPPED,
    UNFINISHED,
    ArtifactFacts,
    RunFacts,
    StepFacts,
    utc,
)
from pipeline.configs import PipelineConfig
from pipeline.local.run_outputs import artifacts_of_newest_run, newest_run, node_id_of
from pipeline.local.step import StepError
from pipeline.option_words import option_words

_Execution, _Event = metadata_store_pb2.Execution, metadata_store_pb2.Event
_STATES = {
    _Execution.COMPLETE: COMPLETE,
    _Execution.CACHED: CACHED,
    _Execution.FAILED: FAILED,
    _Execution.CANCELED: STOPPED,
}
_INPUTS = (_Event.INPUT, _Event.DECLARED_INPUT, _Event.INTERNAL_INPUT)
_OUTPUTS = (_Event.OUTPUT, _Event.DECLARED_OUTPUT, _Event.INTERNAL_OUTPUT)


@contextlib.contextmanager
def recorded(config: PipelineConfig, metadata_connection_config) -> Iterator[None]:
    """Records the run within the context, however it ends.

    Args:
        config: the run.
        metadata_connection_config: the store of the run.
    """
    path = _new_path(config.root)
    run = RunFacts(
        kind=PIPELINE,
        name=config.name,
        root=config.root,
        started=utc(),
        state=UNFINISHED,
        options=tuple(option_words(config)),
        recipe=recipe_changes.describe(config.recipe),
    )
    earlier = _run_name(metadata_connection_config)
    storage.make_folder(os.path.dirname(path))
    storage.write_text(path, run.to_json())

    def write(**changes) -> None:
        _write(
            path, dataclasses.replace(run, **changes), metadata_connection_config, earlier, config
        )

    try:
        yield
    except KeyboardInterrupt:
        write(state=STOPPED)
        raise
    except Exception as error:
        cause = error.__cause__ or error
        step = f"{error.node_id}: " if isinstance(error, StepError) else ""
        write(state=FAILED, error=step + clear_message(cause, config.root))
        raise
    write(state=COMPLETE)


def _new_path(root: str) -> str:
    name = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}"
    taken, number = name, 1
    while storage.exists(stored.record_path(root, taken)):
        number += 1
        taken = f"{name}-{number}"
    return stored.record_path(root, taken)


def _write(path: str, run: RunFacts, connection, earlier: str, config: PipelineConfig) -> None:
    """Writes what is known; that a report cannot be made never changes how a run ends."""
    try:
        if _run_name(connection) != earlier:
            run = collect_run(run, connection, config.recipe)
    except Exception as error:
        print(f"note: the record {path} of the run is incomplete: {clear_message(error)}")
    storage.write_text(path, run.to_json())


def _run_name(connection) -> str:
    """The name of the newest run in the store; "" without one."""
    run = newest_run(mlmd.MetadataStore(connection))
    return run.name if run else ""


def collect_run(
    run: RunFacts, metadata_connection_config, recipe: Recipe | None = None
) -> RunFacts:
    """Returns the facts of the newest run in a store.

    Args:
        run: what is known without it.
        metadata_connection_config: the store.
        recipe: recipe of a run without a model; None if unknown.

    Raises:
        ValueError: the store has no run.
    """
    store = mlmd.MetadataStore(metadata_connection_config)
    newest = newest_run(store)
    if newest is None:
        raise ValueError("the ML Metadata must have a run; they have none. Start one first.")
    outputs = artifacts_of_newest_run(store)
    found = collect(run, _inputs_of_report(store, outputs), recipe)
    return dataclasses.replace(
        found,
        run=newest.name,
        started=run.started or utc(newest.create_time_since_epoch / 1000),
        steps=tuple(_step(store, each) for each in _executions(store, newest)),
        artifacts=tuple(
            ArtifactFacts(each.id, each.type, f"{step}.{key}", each.uri)
            for (step, key), each in sorted(outputs.items(), key=lambda item: item[1].id)
        ),
    )


def state_of(steps: Sequence[StepFacts]) -> str:
    """Returns the state of a run from that of its steps."""
    found = {step.state for step in steps}
    return next((state for state in (FAILED, UNFINISHED, STOPPED) if state in found), COMPLETE)


def _executions(store: mlmd.MetadataStore, run) -> list:
    found = store.get_executions_by_context(run.id)
    return sorted(found, key=lambda each: (each.create_time_since_epoch, each.id))


def _inputs_of_report(store: mlmd.MetadataStore, outputs: dict) -> dict[str, list[Artifact]]:
    """The artifacts as the step RunReport gets them."""
    return {
        name: [
            artifact_utils.deserialize_artifact(
                store.get_artifact_type(outputs[output].type), outputs[output]
            )
        ]
        for name, output in OUTPUTS.items()
        if output in outputs and outputs[output].state != metadata_store_pb2.Artifact.DELETED
    }


def _step(store: mlmd.MetadataStore, execution) -> StepFacts:
    state = _STATES.get(execution.last_known_state, UNFINISHED)
    ids: dict[bool, dict[str, list[int]]] = {True: {}, False: {}}
    for event in store.get_events_by_execution_ids([execution.id]):
        if event.type in (*_INPUTS, *_OUTPUTS):
            key = event.path.steps[0].key if event.path.steps else ""
            ids[event.type in _INPUTS].setdefault(key, []).append(event.artifact_id)
    inputs, outputs = ({k: tuple(v) for k, v in ids[each].items()} for each in (True, False))
    seconds = (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000
    return StepFacts(
        name=node_id_of(store, execution.id),
        state=state,
        execution=execution.id,
        seconds=None if state == UNFINISHED else round(seconds, 2),
        inputs=inputs,
        outputs=outputs,
    )
