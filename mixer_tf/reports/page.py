# SPDX-License-Identifier: Apache-2.0
"""The page of a run: from the data to the served model, one section for each part of the facts.

The page is static HTML; it loads nothing and runs no script.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence

from mixer_tf import storage
from mixer_tf.console import format_duration
from mixer_tf.messages import visible
from mixer_tf.reports import evaluation_section, lineage_section
from mixer_tf.reports.facts import (
    COMPLETE,
    FAILED,
    PIPELINE,
    STOPPED,
    UNFINISHED,
    DuplicateFacts,
    RecipeFacts,
    RunFacts,
    TrainingFacts,
)
from mixer_tf.reports.html_parts import (
    counts,
    facts_table,
    missing,
    more_classes,
    notes,
    warnings,
)
from mixer_tf.reports.recipe_changes import as_text
from mixer_tf.visualization import curves_svg, html_page
from mixer_tf.visualization.html_page import link, table, text

PAGE, JSON_FILE = "report.html", "report.json"
MAX_CLASSES = 200  # in the table of the images
_MAX_REASONS = 20
_STYLE = """
.facts th, .facts td, .words th, .words td { text-align: left; }
.missing { opacity: .75; font-style: italic; }
td code, p code, pre { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
td code { white-space: normal; }
pre { white-space: pre-wrap; border: 1px solid var(--line); border-radius: 6px; padding: .5rem; }
.mistakes { display: flex; flex-wrap: wrap; gap: 1rem; }
.mistakes figure { width: 11rem; overflow-wrap: anywhere; font-size: 13px; }
.mistakes img { width: 8rem; height: 8rem; object-fit: contain; image-rendering: pixelated;
  background: #8882; }
.mistakes figcaption { font-weight: 400; }
nav a { margin-right: .8rem; color: inherit; }
@media print { nav { display: none; } section { break-inside: avoid; } }
"""
_STATES = {
    COMPLETE: "complete",
    FAILED: "failed",
    STOPPED: "stopped",
    UNFINISHED: "not finished: it still runs, or was killed",
}
# Title → tags of the scalars in one plot.
_PLOTS = {
    "Loss": ("train/loss", "eval/loss"),
    "Top-1 accuracy": ("train/top_1", "eval/top_1"),
    "Learning rate": ("train/learning_rate",),
    "Images per second": ("train/images_per_second",),
    "Norm of the gradients": ("train/gradient_norm",),
    "Norm of the weights": ("weights/norm",),
}


def write(folder: str, facts: RunFacts) -> str:
    """Writes `report.html` and `report.json` into a folder, and returns the path of the page."""
    storage.make_folder(folder)
    storage.write_text(os.path.join(folder, JSON_FILE), facts.to_json())
    return write_page(os.path.join(folder, PAGE), facts)


def write_page(path: str, facts: RunFacts) -> str:
    """Writes the page to a file, and returns its path."""
    storage.write_text(path, render(facts))
    return path


def render(facts: RunFacts) -> str:
    """Returns the page."""
    is_pipeline = facts.kind == PIPELINE
    sections = {
        "Result": _result(facts),
        "Data": _data(facts),
        "Unusable images": _quarantine(facts),
        **(
            {"Near-duplicates": _duplicates(facts), "Statistics": _statistics(facts)}
            if is_pipeline
            else {}
        ),
        "Recipe": _recipe(facts.recipe),
        "Training": _training(facts),
        "Evaluation": evaluation_section.render(facts),
        **({"Gates and push": lineage_section.gates(facts)} if is_pipeline else {}),
        **({"Lineage": lineage_section.lineage(facts)} if is_pipeline else {}),
        "Commands": lineage_section.commands(facts),
    }
    links = "".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in sections)
    body = [
        f'<section id="{_anchor(title)}"><h2>{title}</h2>\n{content}</section>'
        for title, content in sections.items()
    ]
    kind = "Pipeline run" if is_pipeline else "Training"
    return html_page.render(
        f"{kind} {visible(facts.name)}", [f"<nav>{links}</nav>", *body], style=_STYLE
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _result(facts: RunFacts) -> str:
    state = _STATES.get(facts.state, facts.state)
    is_good = facts.state == COMPLETE
    rows = {"state": f"<b class={'good' if is_good else 'bad'}>{state}</b>"}
    if facts.error:
        rows["error"] = f"<span class=bad>{text(visible(facts.error))}</span>"
    for title, moment in (("started", facts.started), ("this page", facts.written)):
        if moment:
            rows[title] = text(moment.replace("T", " ").replace("+00:00", " UTC"))
    seconds = sum(step.seconds or 0 for step in facts.steps)
    if seconds:
        rows["duration"] = f"{format_duration(seconds)} in {len(facts.steps)} steps"
    if facts.data:
        rows["source"] = text(facts.data.source)
        rows["images"] = counts(facts.data.images)
    if facts.recipe:
        rows["recipe"] = text(facts.recipe.name)
    top_1 = facts.evaluation and facts.evaluation.metrics.get("accuracy")
    if top_1 is not None and facts.evaluation:
        rows[f"top-1 on the {text(facts.evaluation.split)} split"] = f"<b>{top_1:.4f}</b>"
    if facts.push:
        rows["pushed"] = (
            f"<span class=good>{text(facts.push.destination)}</span>"
            if facts.push.pushed
            else f"<span class=bad>nothing: {text(visible(facts.push.reason))}</span>"
        )
    elif facts.model:
        rows["model"] = text(facts.model)
    rows["folder"] = text(facts.root)
    if facts.code_version:
        rows["code"] = f"mixer_tf {text(facts.code_version)}"
    return facts_table(rows) + warnings(facts.evaluation.warnings if facts.evaluation else ())


def _data(facts: RunFacts) -> str:
    data = facts.data
    if data is None:
        return missing("No images were read: the first step did not run, or failed.")
    rows = {"source": text(data.source), "classes": f"{len(data.class_names):,}"}
    if data.read:
        rows["images of the source"] = counts(data.read)
    rows["images used"] = counts(data.images)
    return facts_table(rows) + notes(data.notes) + _class_table(data.counts, data.class_names)


def _class_table(by_split: Mapping[str, Mapping[str, int]], names: Sequence[str]) -> str:
    rows = [
        [text(visible(name)), *(f"{found.get(name, 0):,}" for found in by_split.values())]
        for name in names[:MAX_CLASSES]
    ]
    rest = more_classes(len(names) - MAX_CLASSES)
    return "<h3>Images by class</h3>" + table(["class", *map(text, by_split)], rows) + rest


def _quarantine(facts: RunFacts) -> str:
    found = facts.quarantine
    if found is None and facts.kind != PIPELINE:
        return missing("The images were not prepared yet.")
    if found is None:
        return missing("The step Preprocessor, which looks at every image, did not run.")
    if not found.images:
        return "<p class=good>Every image can be used.</p>"
    rows = [
        [text(visible(reason)), f"{number:,}", text(visible(example))]
        for reason, (number, example) in [*found.reasons.items()][:_MAX_REASONS]
    ]
    more = len(found.reasons) - _MAX_REASONS
    rest = f" {more:,} more reasons are there." if more > 0 else ""
    return (
        f"<p class=bad>{_images(found.images)} cannot be used and were left out.</p>"
        + table(["reason", "images", "such as"], rows)
        + f"<p>All are listed in <code>{text(found.file)}</code>.{rest}</p>"
    )


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"


def _duplicates(facts: RunFacts) -> str:
    found = facts.duplicates
    if found is None:
        return missing(
            "Near-duplicates were not searched for: the step Deduplicator is switched off, or did "
            "not run."
        )
    rows = [[text(name), f"{number:,}"] for name, number in found.found.items()]
    return (
        facts_table(_duplicate_rows(found))
        + "<h3>Training images with a near-duplicate</h3>"
        + table(["in", "images"], rows)
        + f"<p>All pairs: {link(found.page)}</p>"
    )


def _duplicate_rows(found: DuplicateFacts) -> dict[str, str]:
    rows = {
        "mode": text(found.mode),
        "removed": counts(found.removed) if any(found.removed.values()) else "none",
    }
    kept = [f"{number:,} {text(reason)}" for reason, number in found.kept.items() if number]
    if kept:
        rows["kept"] = ", ".join(kept)
    if any(found.leaked.values()):
        rows["with a duplicate in training"] = counts(found.leaked)
    return rows


def _statistics(facts: RunFacts) -> str:
    found = facts.statistics
    if found is None:
        return missing("The step ImageStatistics did not run.")
    titles = list(dict.fromkeys(title for row in found.splits.values() for title in row))
    rows = [
        [title, *(text(row.get(title, "–")) for row in found.splits.values())] for title in titles
    ]
    count = f"{len(found.anomalies):,} anomal{'y' if len(found.anomalies) == 1 else 'ies'}"
    verdict = f"<p class=bad>{count}:</p>" if found.anomalies else "<p class=good>No anomalies.</p>"
    return (
        verdict
        + notes(found.anomalies)
        + table(["", *map(text, found.splits)], rows)
        + f"<p>With plots, by class: {link(found.page)}</p>"
    )


def _recipe(recipe: RecipeFacts | None) -> str:
    if recipe is None:
        return missing("The recipe of this run is not known.")
    rows = {"recipe": text(recipe.name), "model": text(str(recipe.fields.get("model.name")))}
    if recipe.parameters is not None:
        rows["parameters"] = f"{recipe.parameters:,}"
    found = facts_table(rows) + _changes(recipe)
    if recipe.tuned:
        tuned = [[text(name), text(as_text(value))] for name, value in recipe.tuned.items()]
        found += "<h3>Chosen by the search</h3>" + table(["field", "value"], tuned)
    fields = [[text(name), text(as_text(value))] for name, value in recipe.fields.items()]
    return (
        found
        + f"<details><summary>All fields</summary>{table(['field', 'value'], fields)}</details>"
    )


def _changes(recipe: RecipeFacts) -> str:
    if recipe.changes is None:
        return (
            f"<p>There is no recipe {text(recipe.name)} to compare with: it came from a file.</p>"
        )
    if not recipe.changes:
        return "<p>Nothing was changed.</p>"
    rows = [
        [text(name), text(as_text(before)), text(as_text(now))]
        for name, (before, now) in recipe.changes.items()
    ]
    title = f"<h3>Changed from the recipe {text(recipe.name)}</h3>"
    return title + table(["field", "recipe", "this run"], rows)


def _training(facts: RunFacts) -> str:
    training = facts.training
    if training is None and facts.model:
        return missing("The logs of the training are no longer there.")
    if training is None:
        return missing("Nothing was trained: there are no logs.")
    if not training.scalars:
        return missing(f"The logs in {text(training.log_dir)} have no complete epoch.")
    figures = "".join(
        f"<figure><figcaption>{title}</figcaption>{plot}</figure>"
        for title, plot in _plots(training.scalars)
    )
    found = f"<p>{_best_epoch(training)}</p><div class=plots>{figures}</div>"
    if training.confusion:
        picture = html_page.image(base64.b64decode(training.confusion), "confusion matrix")
        found += f"<h3>Confusion matrix of the evaluation split, after the last epoch</h3>{picture}"
    return found + f"<p>Logs: <code>{text(training.log_dir)}</code></p>"


def _plots(scalars: Mapping[str, Sequence]) -> Iterator[tuple[str, str]]:
    for title, tags in _PLOTS.items():
        curves = {tag.partition("/")[0]: scalars[tag] for tag in tags if tag in scalars}
        if curves:
            legend = f"<br>{curves_svg.legend(list(curves))}" if len(curves) > 1 else ""
            yield title, f"{curves_svg.plot(title, curves)}{legend}"


def _best_epoch(training: TrainingFacts) -> str:
    accuracy = [
        (value, step) for step, value in training.scalars.get("eval/top_1", ()) if value is not None
    ]
    duration = f"; {format_duration(training.seconds)} from the first to the last log"
    if not accuracy:
        last = max(points[-1][0] for points in training.scalars.values())
        return f"{last:,} steps, without an evaluation split{duration}."
    best, step = max(accuracy, key=lambda found: (found[0], -found[1]))
    return (
        f"Best top-1 on the evaluation split: <b>{best:.4f}</b> after step {step:,} of "
        f"{accuracy[-1][1]:,}{duration}."
    )
