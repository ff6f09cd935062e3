# SPDX-License-Identifier: Apache-2.0
"""The result of few-shot probes as a table for people and as JSON. No TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from mixer_tf.console import format_table
from mixer_tf.evaluation.fewshot import ShotsResult

JSON_FILE = "fewshot.json"  # of the step FewShotEvaluator


@dataclasses.dataclass(frozen=True)
class FewShotReport:
    """The accuracies of the probes on the features of one model.

    Attributes:
        results: one for each number of shots.
        seeds: the seeds of the draws.
        facts: name → what was measured: model, source, numbers of images, preprocessing.
        notes: in which ways a result is not what its name says.
    """

    results: Sequence[ShotsResult]
    seeds: Sequence[int]
    facts: Mapping[str, object]
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, object]:
        """Returns everything as JSON takes it."""
        return {
            **self.facts,
            "seeds": list(self.seeds),
            "results": [result.to_dict() for result in self.results],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def table(self) -> str:
        """One row for each number of shots: the mean, the deviation, and each seed."""
        several = len(self.seeds) > 1
        header = ["shots", "images", "top-1", *(["±"] if several else [])]
        header += [f"seed {seed}" for seed in self.seeds] if several else []
        return format_table(header, [self._row(result) for result in self.results], left=0)

    def _row(self, result: ShotsResult) -> list[str]:
        row = [str(result.shots), f"{result.images:,}", f"{result.mean:.4f}"]
        if result.deviation is None:
            return row
        return [*row, f"{result.deviation:.4f}", *(f"{each:.4f}" for each in result.accuracies)]


def one_line(results: Sequence[Mapping[str, object]]) -> str:
    """Returns such as "5-shot 0.9123 ± 0.0041, 10-shot 0.9312 ± 0.0020".

    Args:
        results: the "results" of `FewShotReport.to_dict`.
    """
    return ", ".join(map(_clause, results))


def by_shots(results: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Returns such as "5-shot" → "0.9123 ± 0.0041"; arguments as in `one_line`."""
    return dict(_clause(result).split(" ", 1) for result in results)


def _clause(result: Mapping[str, object]) -> str:
    deviation = result["standard_deviation"]
    spread = "" if deviation is None else f" ± {deviation:.4f}"
    return f"{result['shots']}-shot {result['mean']:.4f}{spread}"
