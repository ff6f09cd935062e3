# SPDX-License-Identifier: Apache-2.0
"""Several models side by side, as text: `mixer evaluate A B …`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

from mixer_tf.console import format_table
from mixer_tf.evaluation.comparison import NUM_RESAMPLES, SIGNIFICANT, Comparison
from mixer_tf.messages import visible

METHOD = (
    "only A, only B: images on which one of the two alone is right",
    "interval: of the difference B - A, by the paired bootstrap over the images, {resamples:,} "
    "resamples",
    "p: exact McNemar test, two-sided{correction}; below {level:g} (*) it is more than chance",
)


def comparison_table(
    comparisons: Sequence[Comparison],
) -> tuple[list[str], list[list[str]], list[str]]:
    """Returns a header, a row for each pair of models, and lines that explain the numbers."""
    header = ["A", "B", "B - A", "95 % interval", "only A", "only B", "predictions differ", "p"]
    rows = [
        [
            each.first,
            each.second,
            f"{each.difference:+.4f}",
            f"{each.low:+.4f} to {each.high:+.4f}",
            f"{each.only_first:,}",
            f"{each.only_second:,}",
            f"{each.different_predictions:,}",
            _p_value(each),
        ]
        for each in comparisons
    ]
    correction = "" if len(comparisons) == 1 else f", after Holm's correction for {len(rows)} pairs"
    values = {"correction": correction, "level": SIGNIFICANT, "resamples": NUM_RESAMPLES}
    return header, rows, [line.format(**values) for line in METHOD]


def short_value(value: str | None) -> str:
    """Returns a value of `Report.rows` without what explains it: "0.9800  (98 of 100)"."""
    return "–" if value is None else value.split("  ")[0]


def _p_value(each: Comparison) -> str:
    mark = " *" if each.is_significant else ""
    return f"{each.adjusted_p_value:.3g}{mark}"


def to_text(reports: Sequence, titles: Sequence[str], comparisons: Sequence[Comparison]) -> str:
    """Returns a table of the models and one of their differences.

    Args:
        reports: a `report.Report` for each model, on the same images.
        titles: titles of the models.
        comparisons: one for each pair of models.
    """
    columns = [report.rows() for report in reports]
    shown = list(dict.fromkeys(title for rows in columns for title in rows if title != "images"))
    rows = [
        [title, *(short_value(each.get(name)) for name in shown)]
        for title, each in zip(titles, columns, strict=True)
    ]
    header, pairs, method = comparison_table(comparisons)
    images = f"images   {visible(columns[0]['images'])}"
    notes = [
        f"{label:<8} {visible(f'{title}: {line}')}"
        for title, report in zip(titles, reports, strict=True)
        for label, lines in (("WARNING", report.warnings()), ("note", _notes(report)))
        for line in lines
    ]
    return "\n".join(
        [
            images,
            *notes,
            "",
            format_table(["model", *shown], rows),
            "",
            format_table(header, pairs, left=2),
            *method,
            *reports[0].problem_lines(),
        ]
    )


def _notes(report) -> list[str]:
    """Those that are not about the classes."""
    return [*report.remarks, *(report.real.notes() if report.real else ())]


def to_json(reports: Sequence, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yields the lines of one JSON object: "comparisons", and "models" as for a single model."""
    found = [dataclasses.asdict(each) for each in comparisons]
    yield f'{{"comparisons": {json.dumps(found, indent=2, ensure_ascii=False)},'
    yield '"models": ['
    for number, report in enumerate(reports, 1):
        *lines, last = report.to_json()
        yield from lines
        yield last + ("," if number < len(reports) else "")
    yield "]}"
