# SPDX-License-Identifier: Apache-2.0
"""The table of an ablation study: each variant with its cost, accuracy and difference. No TF."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from mixer_tf.studies.ablation_variants import UNCHANGED

MEASURES = ("eval_accuracy", "test_accuracy", "few_shot_mean")


@dataclasses.dataclass(frozen=True)
class VariantScore:
    """One variant over all of its seeds.

    Attributes:
        variant: its name.
        parameters, multiply_adds: size of the model, and its cost for one image.
        seeds: number of finished trainings.
        means: name of a measure → mean over the seeds.
        deviations: name of a measure → sample standard deviation; None for a single seed.
        gains: name of a measure → mean difference from the unchanged recipe with the same seeds;
            None without it.
        seconds: mean duration of a training; None if one was resumed.
    """

    variant: str
    parameters: int
    multiply_adds: int
    seeds: int
    means: dict[str, float]
    deviations: dict[str, float | None]
    gains: dict[str, float | None]
    seconds: float | None


def summarize(rows: Sequence[Mapping]) -> list[VariantScore]:
    """Returns the score of each variant, in the order of the rows; failed trainings are left out.

    Args:
        rows: the results of the trainings of `ablation_variants.make_trials`.
    """
    by_variant: dict[str, list[Mapping]] = {}
    for row in rows:
        if "problem" not in row:
            by_variant.setdefault(row["variant"], []).append(row)
    unchanged = {row["seed"]: row for row in by_variant.get(UNCHANGED, ())}
    return [_score(variant, found, unchanged) for variant, found in by_variant.items()]


def _score(variant: str, rows: Sequence[Mapping], unchanged: Mapping) -> VariantScore:
    values = {measure: [row[measure] for row in rows] for measure in MEASURES}
    seconds = [row["seconds"] for row in rows]
    return VariantScore(
        variant,
        rows[0]["parameters"],
        rows[0]["multiply_adds"],
        len(rows),
        means={measure: statistics.mean(found) for measure, found in values.items()},
        deviations={
            measure: statistics.stdev(found) if len(found) > 1 else None
            for measure, found in values.items()
        },
        gains={measure: _gain(rows, unchanged, measure) for measure in MEASURES},
        seconds=None if None in seconds else statistics.mean(seconds),
    )


def _gain(rows: Sequence[Mapping], unchanged: Mapping, measure: str) -> float | None:
    """The mean over the seeds that both have."""
    pairs = [(row, unchanged[row["seed"]]) for row in rows if row["seed"] in unchanged]
    if not pairs or rows[0]["variant"] == UNCHANGED:
        return None
    return statistics.mean(row[measure] - base[measure] for row, base in pairs)
