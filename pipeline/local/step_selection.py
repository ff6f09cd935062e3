# SPDX-License-Identifier: Apache-2.0
"""Which steps of the graph run: `--from` and `--to`, and what they need of an earlier run."""

from __future__ import annotations

import os

from tfx.orchestration.pipeline import Pipeline, RunOptions

from mixer_tf.messages import did_you_mean
from pipeline.local import missing_outputs, run_outputs


def select(pipeline: Pipeline, from_step: str | None, to_step: str | None) -> set[str]:
    """Returns the ids of the steps that will run, from `from_step` to `to_step`, both included.

    Raises:
        ValueError: there is no such step, or `to_step` does not depend on `from_step`.
    """
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


def remove_other_steps(pipeline: Pipeline, selected: set[str]) -> None:
    """Removes the other steps from the graph; TFX's own partial runs require an earlier run."""
    kept = [node for node in pipeline.components if node.id in selected]
    for node in kept:
        for other in set(node.downstream_nodes) - set(kept):
            node.remove_downstream_node(other)
    pipeline.components = kept


def run_options(from_step: str | None, to_step: str | None) -> RunOptions | None:
    """Returns TFX's options of a partial run; None for a whole one."""
    if not from_step:
        return None
    return RunOptions(from_nodes=[from_step], to_nodes=[to_step] if to_step else None)


def require_earlier_run(metadata_path: str, from_step: str | None) -> None:
    """Raises ValueError if `from_step` is given and nothing has run before."""
    if from_step and not os.path.exists(metadata_path):
        raise ValueError(
            f"--from={from_step} needs the outputs of an earlier run; {metadata_path} does not "
            "exist. Run once without --from."
        )


def require_earlier_outputs(
    connection, pipeline: Pipeline, from_step: str, to_step: str | None = None
) -> None:
    """Raises ValueError unless the last run has left what the selected steps read.

    Args:
        connection: to ML Metadata.
        pipeline: the graph.
        from_step: the first step to run.
        to_step: the last step to run; None for all.
    """
    last = run_outputs.pipeline_of_newest_run(connection)
    if last and last != pipeline.pipeline_info.pipeline_name:
        raise ValueError(
            f"--from={from_step} needs the outputs of a run of this name with the same classes; "
            "the last one had others. Run once without --from."
        )
    nodes = {node.id: node for node in pipeline.components}
    earlier = _reachable(nodes[from_step], "upstream_nodes") - {from_step}
    selected = select(pipeline, from_step, to_step)
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


def _reachable(node, direction: str) -> set[str]:
    found = {node.id}
    for neighbor in getattr(node, direction):
        found |= _reachable(neighbor, direction)
    return found


def _unknown_step(step: str, known: list[str]) -> str:
    hint = did_you_mean(step, known, most=1)
    return f"there is no step {step!r}.{hint} The steps are {', '.join(known)}."
