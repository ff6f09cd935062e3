# SPDX-License-Identifier: Apache-2.0
"""The card of a model as Markdown with YAML front matter, as Hugging Face reads it. No TensorFlow.

It is stored beside the lineage of a pushed version, in `assets.extra`, which TensorFlow Serving
ignores but for the warm-up requests.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixer_tf.evaluation.class_counts import FEW_IMAGES
from mixer_tf.messages import printable, visible
from mixer_tf.reports.facts import PIPELINE, RunFacts
from mixer_tf.reports.recipe_changes import as_text
from mixer_tf.serving import contract

_MAX_CLASSES = 20
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")


def render(facts: RunFacts) -> str:
    """Returns the card.

    Args:
        facts: facts of the run that trained the model; the sections that it lacks are left out.
    """
    parts = [
        _front_matter(facts),
        f"# {_text(facts.name)}\n\n{_introduction(facts)}",
        _section("Data", _data(facts)),
        _section("Recipe", _recipe(facts)),
        _section("Figures", _figures(facts)),
        _section("Limits", "\n".join(f"- {line}" for line in _limits(facts))),
        _section("Use", _USE),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


_USE = f"""```
mixer predict MODEL IMAGE
mixer serve MODEL
```

The signature `{contract.SERVING_SIGNATURE}` takes encoded JPEG, PNG, GIF or BMP files \
(`{contract.IMAGE_BYTES}`) and returns the most probable classes with their probabilities."""


def _section(title: str, content: str) -> str:
    return f"## {title}\n\n{content}" if content else ""


def _text(content: str) -> str:
    """Plain text as Markdown: what comes from data is neither markup nor HTML."""
    return html.escape(_SPECIAL.sub(r"\\\1", visible(printable(content))), quote=False)


def _quoted(content: str) -> str:
    """A text as a YAML scalar, which a string of JSON is; without HTML for those who show it."""
    return json.dumps(visible(printable(content)), ensure_ascii=False).replace("<", "\\u003c")


def _front_matter(facts: RunFacts) -> str:
    lines = [
        "library_name: mixer_tf",
        "pipeline_tag: image-classification",
        "tags: [image-classification, tensorflow, mixer_tf]",
    ]
    results = [*_results(facts)]
    if results:
        lines += ["model-index:", f"- name: {_quoted(facts.name)}", "  results:", *results]
    return "\n".join(["---", *lines, "---"])


def _results(facts: RunFacts) -> Iterator[str]:
    """The lines of the figures, as Hugging Face's model-index has them."""
    measured = _measured(facts)
    if measured is None or facts.data is None:
        return
    split, metrics, _ = measured
    yield "  - task: {type: image-classification}"
    source = _quoted(facts.data.source)
    yield f"    dataset: {{name: {source}, type: {source}, split: {_quoted(split)}}}"
    yield "    metrics:"
    for name, value in metrics.items():
        yield f"    - {{type: {_quoted(name)}, value: {value:.6f}}}"


def _measured(facts: RunFacts) -> tuple[str, dict[str, float], int | None] | None:
    """The split that measures the model, its metrics, and the number of its images."""
    if facts.evaluation and facts.evaluation.metrics:
        metrics = facts.evaluation.metrics
        names = [n for n in ("accuracy", contract.top_k_metric(), "cross_entropy") if n in metrics]
        number = metrics.get("example_count")
        return (
            facts.evaluation.split,
            {name: metrics[name] for name in names},
            None if number is None else round(number),
        )
    values = [v for _, v in _curve(facts, "eval/top_1") if v is not None]
    if not values:
        return None
    return "eval", {"accuracy": max(values)}, facts.data.images.get("eval") if facts.data else None


def _curve(facts: RunFacts, tag: str) -> Sequence[tuple[int, float | None]]:
    return facts.training.scalars.get(tag, ()) if facts.training else ()


def _introduction(facts: RunFacts) -> str:
    fields = facts.recipe.fields if facts.recipe else {}
    name = str(fields.get("model.name", "a model"))
    size = f" of {fields['model.image_size']} pixels" if fields.get("model.image_size") else ""
    number = f" with {facts.recipe.parameters:,} parameters" if _has_parameters(facts) else ""
    classes = f" into {len(facts.data.class_names):,} classes" if facts.data else ""
    version = f", mixer\\_tf {_text(facts.code_version)}" if facts.code_version else ""
    day = (facts.written or facts.started)[:10]
    made = "pushed by the pipeline" if facts.kind == PIPELINE else "trained by `mixer train`"
    return (
        f"{_text(name)}{number} classifies images{size}{classes}. It was {made} on {day}{version}."
    )


def _has_parameters(facts: RunFacts) -> bool:
    return facts.recipe is not None and facts.recipe.parameters is not None


def _data(facts: RunFacts) -> str:
    if facts.data is None:
        return ""
    rows = [f"- source: {_text(facts.data.source)}"]
    rows += [f"- {split}: {number:,} images" for split, number in facts.data.images.items()]
    if facts.quarantine and facts.quarantine.images:
        rows.append(f"- unusable images, left out: {facts.quarantine.images:,}")
    removed = sum(facts.duplicates.removed.values()) if facts.duplicates else 0
    if removed:
        rows.append(f"- near-duplicates, removed: {removed:,}")
    names = facts.data.class_names
    shown = ", ".join(map(_text, names[:_MAX_CLASSES]))
    more = f" and {len(names) - _MAX_CLASSES:,} more" if len(names) > _MAX_CLASSES else ""
    return "\n".join([*rows, f"- classes: {shown}{more}"])


def _recipe(facts: RunFacts) -> str:
    recipe = facts.recipe
    if recipe is None:
        return ""
    base = f"{_text(recipe.name)}; `recipe.json` beside this file has every field."
    if recipe.changes is None:
        return f"{base} It came from a file."
    if not recipe.changes:
        return f"{base} Nothing was changed of the recipe of that name."
    rows = [
        (_text(name), _text(as_text(before)), _text(as_text(now)))
        for name, (before, now) in recipe.changes.items()
    ]
    return f"{base} Changed:\n\n{_table(('field', 'recipe', 'this model'), rows)}"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _figures(facts: RunFacts) -> str:
    measured = _measured(facts)
    if measured is None:
        return "Nothing measures this model: there were no images to evaluate it on."
    split, metrics, number = measured
    titles = {"accuracy": "top-1 accuracy", contract.top_k_metric(): contract.top_k_title()}
    rows = [(titles.get(name, _text(name)), f"{value:.4f}") for name, value in metrics.items()]
    images = f", {number:,} images" if number is not None else ""
    found = f"On the {_text(split)} split{images}:\n\n{_table(('metric', 'value'), rows)}"
    return "\n\n".join(filter(None, [found, _slices(facts), _classes(facts)]))


def _slices(facts: RunFacts) -> str:
    slices: Mapping[str, tuple[int, float]] = facts.evaluation.slices if facts.evaluation else {}
    rows = [(_text(name), f"{n:,}", f"{accuracy:.4f}") for name, (n, accuracy) in slices.items()]
    return _table(("images", "number", "top-1"), rows) if rows else ""


def _classes(facts: RunFacts) -> str:
    """The classes, the worst first."""
    classes = facts.evaluation.classes if facts.evaluation else {}
    order = sorted(classes.items(), key=lambda item: item[1][1] / max(item[1][0], 1))
    rows = [
        (_text(name), f"{images:,}", f"{correct / images:.4f}" if images else "–")
        for name, (images, correct) in order[:_MAX_CLASSES]
    ]
    if not rows:
        return ""
    more = f"\n\n{len(order) - len(rows):,} more classes are better." if order[len(rows) :] else ""
    return f"By class, the worst first:\n\n{_table(('class', 'images', 'top-1'), rows)}{more}"


def _limits(facts: RunFacts) -> Iterator[str]:
    """What a user of the model should know; each line follows from the facts."""
    yield (
        "Every image gets one of the classes above, also one that shows something else; the "
        "probabilities were not calibrated."
    )
    measured = _measured(facts)
    if measured is not None:
        split, _, number = measured
        yield (
            "The figures are those of images of the same source; images from elsewhere may give "
            "worse ones."
        )
        if split == "eval":
            yield (
                "The evaluation split has also chosen the epoch, so that its figure tends to be "
                "too good."
            )
        if number is not None and number < FEW_IMAGES:
            yield f"With {number} images, the figures are rough estimates."
    found = facts.evaluation
    lines = (*(found.warnings if found else ()), *(found.notes if found else ()))
    for line in (*lines, *(facts.data.notes if facts.data else ())):
        yield _text(line)
