# SPDX-License-Identifier: Apache-2.0
"""The section of a run's page about the results of its model: figures, classes, mistakes."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from mixer_tf.messages import visible
from mixer_tf.reports.facts import PIPELINE, EvaluationFacts, Mistake, OtherResult, RunFacts
from mixer_tf.reports.html_parts import missing, more_classes, notes, warnings
from mixer_tf.serving import contract
from mixer_tf.visualization import html_page
from mixer_tf.visualization.html_page import link, table, text

MAX_CLASSES = 200
_COUNTS = ("correct_above_largest_class", "predicted_classes")


def render(facts: RunFacts) -> str:
    """Returns the section."""
    found = facts.evaluation
    others = "".join(map(_other, facts.others))
    if found is None:
        return _missing(facts) + others
    return (
        _figures(found)
        + warnings(found.warnings)
        + notes(found.notes)
        + _slices(found)
        + _classes(found)
        + _page(found)
        + _mistakes(found, facts)
        + others
    )


def _missing(facts: RunFacts) -> str:
    if facts.kind == PIPELINE:
        reason = "The step Evaluator did not run."
    else:
        reason = (
            "The model was not evaluated on the test split; <code>mixer report … --evaluate</code> "
            "does it."
        )
    return missing(reason)


def _figures(found: EvaluationFacts) -> str:
    metrics = dict(found.metrics)
    images = metrics.pop("example_count", None)
    where = f"On the {text(found.split)} split"
    where += f", {images:,.0f} images:" if images is not None else ":"
    rows = [
        [_title(name), f"{metrics[name]:,.0f}" if name in _COUNTS else f"{metrics[name]:.4f}"]
        for name in [*filter(metrics.__contains__, _first()), *metrics]
    ]
    rows = list(dict(rows).items())
    return f"<p>{where}</p>" + table(["metric", "value"], rows)


def _first() -> tuple[str, ...]:
    return "accuracy", contract.top_k_metric()


def _title(name: str) -> str:
    titles = {
        "accuracy": "top-1 accuracy",
        contract.top_k_metric(): f"{contract.top_k_title()} accuracy",
    }
    return text(titles.get(name, name.replace("_", " ")))


def _slices(found: EvaluationFacts) -> str:
    if not found.slices:
        return ""
    rows = [
        [text(visible(name)), f"{images:,}", f"{accuracy:.4f}"]
        for name, (images, accuracy) in found.slices.items()
    ]
    return "<h3>Parts of the images</h3>" + table(["images", "number", "top-1"], rows)


def _classes(found: EvaluationFacts) -> str:
    """The classes, those with the lowest accuracy first."""
    if not found.classes:
        return ""
    classes = sorted(found.classes.items(), key=lambda item: item[1][1] / max(item[1][0], 1))
    rows = []
    for name, (images, correct) in classes[:MAX_CLASSES]:
        row = [text(visible(name)), f"{images:,}", f"{correct:,}"]
        row.append(f"{correct / images:.4f}" if images else "–")
        if found.mistaken_for:
            row.append(text(visible(found.mistaken_for.get(name, ""))) or "–")
        rows.append(row)
    header = ["class", "images", "recognized", "accuracy"]
    header += ["mistaken for"] if found.mistaken_for else []
    rest = more_classes(len(classes) - MAX_CLASSES)
    return "<h3>By class, the worst first</h3>" + table(header, rows) + rest


def _page(found: EvaluationFacts) -> str:
    if not found.page:
        return ""
    return f"<p>With calibration and confusion matrix: {link(found.page)}</p>"


def _mistakes(found: EvaluationFacts, facts: RunFacts) -> str:
    title = "<h3>Mistakes</h3>"
    if found.mistakes is None:
        hint = missing(
            "Single mistakes are not part of this evaluation; <code>mixer report … --evaluate"
            "</code> shows them."
        )
        return title + (hint if facts.model else "")
    if not found.mistakes:
        return f"{title}<p class=good>None.</p>"
    shown = len(found.mistakes)
    count = f"{found.num_mistakes:,} mistake{'' if found.num_mistakes == 1 else 's'}"
    if shown == found.num_mistakes:
        return f"{title}<p>{count}, the most confident first:</p>{_images(found.mistakes)}"
    most = f"<p>{count}; the {shown} most confident of them:</p>{_images(found.mistakes)}"
    return title + most + _worst(found.worst_mistakes)


def _worst(mistakes: Sequence[Mistake]) -> str:
    if not mistakes:
        return ""
    note = f"<p>The {len(mistakes)} whose class got the lowest probability, the lowest first:</p>"
    return note + _images(mistakes)


def _images(mistakes: Sequence[Mistake]) -> str:
    return f"<div class=mistakes>{''.join(map(_mistake, mistakes))}</div>"


def _mistake(mistake: Mistake) -> str:
    picture = ""
    if mistake.thumbnail:
        content = base64.b64decode(mistake.thumbnail)
        picture = html_page.image(content, visible(mistake.image), kind="jpeg")
    own = ""
    if mistake.class_probability is not None:
        own = f" ({mistake.class_probability:.1%}, rank {mistake.rank:,})"
    return (
        f"<figure>{picture}<figcaption>{text(visible(mistake.class_name))}{own} taken for "
        f"<b class=bad>{text(visible(mistake.predicted))}</b> ({mistake.probability:.1%})<br>"
        f"{text(visible(mistake.image))}</figcaption></figure>"
    )


def _other(result: OtherResult) -> str:
    rows = [[text(visible(name)), text(visible(value))] for name, value in result.figures.items()]
    where = f"<p>From <code>{text(result.file)}</code></p>" if result.file else ""
    return f"<h3>{text(visible(result.title))}</h3>" + table(["figure", "value"], rows) + where
