# SPDX-License-Identifier: Apache-2.0
"""The means of a VTAB run: per group and in all, which is VTAB-1k only with all 19 tasks.

No TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from mixer_tf.console import format_table
from mixer_tf.evaluation.vtab.tasks import GROUPS, TASKS
from mixer_tf.messages import listing

SUMMARY = "summary.json"
NAME = "VTAB-1k"


@dataclasses.dataclass(frozen=True)
class Mean:
    """The mean accuracy of some tasks.

    Attributes:
        title: what it is the mean of; `NAME` only for all 19 tasks.
        mean: mean over the tasks of their means over the seeds.
        deviation: standard deviation, with n - 1, over the seeds of the mean over the tasks; None
            for a single seed.
        tasks, all_tasks: number of tasks, and of those that belong to it.
    """

    title: str
    mean: float
    deviation: float | None
    tasks: int
    all_tasks: int

    @property
    def is_complete(self) -> bool:
        return self.tasks == self.all_tasks


@dataclasses.dataclass(frozen=True)
class VtabReport:
    """The results of the tasks of one run.

    Attributes:
        results: the `result.json` of each finished task.
        missing: task → the way to get its data.
        facts: what was measured, such as the model and the protocol.
    """

    results: Sequence[Mapping[str, object]]
    missing: Mapping[str, str]
    facts: Mapping[str, object]

    def means(self) -> list[Mean]:
        """Returns those of the groups that have results, and that of all tasks, which is last."""
        found = []
        for group in GROUPS:
            chosen = [result for result in self.results if result["group"] == group]
            total = sum(task.group == group for task in TASKS)
            if chosen:
                found.append(_mean(group, chosen, total))
        is_complete = len(self.results) == len(TASKS)
        title = NAME if is_complete else f"mean of {_tasks(len(self.results))}"
        return [*found, _mean(title, self.results, len(TASKS))]

    def notes(self) -> list[str]:
        """Returns one line for each thing that a reader must know."""
        finished = {result["task"] for result in self.results}
        absent = [task.name for task in TASKS if task.name not in finished]
        found = [f"skipped {name}: {reason}" for name, reason in self.missing.items()]
        found += [f"{r['task']}: {note}" for r in self.results for note in r.get("notes", ())]
        if absent:
            found.append(
                f"the mean is not {NAME}, which has {len(TASKS)} tasks; not measured: "
                f"{listing(absent, len(TASKS), str)}"
            )
        return found

    def to_dict(self) -> dict[str, object]:
        """Returns everything as JSON takes it."""
        means = [
            {**dataclasses.asdict(mean), "complete": mean.is_complete} for mean in self.means()
        ]
        return {
            **self.facts,
            "means": means,
            "results": list(self.results),
            "missing": dict(self.missing),
            "notes": self.notes(),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_text(self) -> str:
        header = ("task", "group", "top-1", "±", "test images", "learning rate", "steps")
        rows = [_row(result) for result in self.results]
        means = [
            (f"{mean.title}{_of(mean)}", f"{mean.mean:.4f}", _spread(mean.deviation))
            for mean in self.means()
        ]
        tables = [
            format_table(header, rows, left=2),
            "",
            format_table(("mean", "top-1", "±"), means),
        ]
        return "\n".join([*tables, *(f"note: {note}" for note in self.notes())])


def _mean(title: str, results: Sequence[Mapping[str, object]], total: int) -> Mean:
    by_seed = np.mean([result["accuracies"] for result in results], axis=0)
    deviation = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None
    return Mean(title, float(np.mean(by_seed)), deviation, len(results), total)


def _of(mean: Mean) -> str:
    """Such as " (7 tasks)" or " (2 of 7 tasks)"; "" for a mean of some tasks, which says it."""
    if mean.title.startswith("mean of"):
        return ""
    return f" ({'' if mean.is_complete else f'{mean.tasks} of '}{_tasks(mean.all_tasks)})"


def _tasks(number: int) -> str:
    return f"{number} task{'' if number == 1 else 's'}"


def _row(result: Mapping[str, object]) -> list[str]:
    accuracies, chosen = result["accuracies"], result["chosen"]
    deviation = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None
    return [
        *(result["task"], result["group"], f"{result['mean']:.4f}", _spread(deviation)),
        f"{result['test_images']:,}",
        f"{chosen['learning_rate']:g}",
        f"{chosen['steps']:,}",
    ]


def _spread(deviation: float | None) -> str:
    return "" if deviation is None else f"{deviation:.4f}"
