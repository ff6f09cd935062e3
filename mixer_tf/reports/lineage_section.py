# SPDX-License-Identifier: Apache-2.0
"""The sections of a run's page about its gates, its lineage and the commands to type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mixer_tf.messages import visible
from mixer_tf.reports.facts import CACHED, COMPLETE, Gate, RunFacts
from mixer_tf.reports.html_parts import missing
from mixer_tf.visualization import html_page
from mixer_tf.visualization.html_page import text

_PASSED = {
    True: "<b class=good>passed</b>",
    False: "<b class=bad>not passed</b>",
    None: "did not run",
}


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return f"<div class=words>{html_page.table(header, rows)}</div>"


def gates(facts: RunFacts) -> str:
    """Returns which gates the model passed, and what was pushed."""
    if not facts.gates:
        return missing("No gate was reached.")
    found = _table(["gate", "result", "reason"], map(_gate, facts.gates))
    if facts.push is None:
        return found + missing("The step Pusher did not run: nothing was pushed.")
    if facts.push.pushed:
        return found + f"<p class=good>Pushed to <code>{text(facts.push.destination)}</code></p>"
    return found + f"<p class=bad>Nothing was pushed: {text(visible(facts.push.reason))}</p>"


def _gate(gate: Gate) -> list[str]:
    reasons = "<br>".join(text(visible(reason)) for reason in gate.reasons)
    return [text(gate.name), _PASSED[gate.passed], reasons]


def lineage(facts: RunFacts) -> str:
    """Returns the executions and the artifacts of the run, as ML Metadata has them."""
    if not facts.artifacts and not facts.steps:
        return missing("No step has finished.")
    names = {artifact.id: artifact.name for artifact in facts.artifacts if artifact.id}
    run = f"<p>Run {text(facts.run)}</p>" if facts.run else ""
    steps = (
        "<h3>Executions</h3>"
        + _table(_STEP_HEADER, [_step_row(step, names) for step in facts.steps])
        if facts.steps
        else missing("The summary of the run, or its orchestrator, has the durations.")
    )
    artifacts = [
        [str(each.id or "–"), text(each.name), text(each.type), f"<code>{text(each.uri)}</code>"]
        for each in facts.artifacts
    ]
    return (
        run + steps + "<h3>Artifacts</h3>" + _table(["id", "output", "type", "folder"], artifacts)
    )


_STEP_HEADER = ["step", "id", "state", "seconds", "inputs", "outputs"]


def _step_row(step, names: Mapping[int, str]) -> list[str]:
    style = "good" if step.state in (COMPLETE, CACHED) else "bad"
    return [
        text(step.name),
        str(step.execution),
        f"<span class={style}>{text(step.state)}</span>",
        "–" if step.seconds is None else f"{step.seconds:.1f}",
        _artifacts(step.inputs, names),
        _artifacts(step.outputs, names),
    ]


def _artifacts(ids: Mapping[str, tuple[int, ...]], names: Mapping[int, str]) -> str:
    found = [each for several in ids.values() for each in several]
    return "<br>".join(f"{each} {text(names.get(each, 'of an earlier run'))}" for each in found)


def commands(facts: RunFacts) -> str:
    """Returns the commands that repeat the run and use its model."""
    return "".join(
        f"<p>{text(command.title)}</p><pre>{text(visible(command.text))}</pre>"
        for command in facts.commands
    ) or missing("The command of this run is not known.")
