# SPDX-License-Identifier: Apache-2.0
"""An evaluation as one HTML page: accuracy, calibration, classes, confusion matrix, mistakes.

`sections` is for pages that embed it, such as the report of a run. The page is static HTML with SVG
and small images inside the file; it loads nothing and runs no script.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence

from mixer_tf import storage
from mixer_tf.evaluation.calibration import Calibration
from mixer_tf.evaluation.classification import by_class
from mixer_tf.evaluation.comparison import Comparison
from mixer_tf.evaluation.comparison_text import comparison_table, short_value
from mixer_tf.evaluation.figures import Figures, Mistake
from mixer_tf.messages import printable, visible
from mixer_tf.visualization import html_page
from mixer_tf.visualization.html_page import table

MAX_CLASSES = 200  # in the table of classes
MAX_MATRIX = 40  # in the confusion matrix
MAX_PROBLEMS = 100
_SHADES = 10
_SIDE, _LEFT, _BOTTOM = 300, 44, 36  # of the plots, in pixels
_COLOR, _GAP_COLOR = "#1a66d0", "#d9730d"

STYLE = """
.matrix td { text-align: center; min-width: 1.6rem; padding: .15rem .3rem; }
.matrix thead th { vertical-align: bottom; padding: .3rem .2rem; }
.matrix thead th bdi { writing-mode: vertical-rl; max-height: 12rem; }
.matrix td.right { outline: 1px solid var(--line); outline-offset: -1px; }
.mistakes { display: flex; flex-wrap: wrap; gap: .8rem; }
.mistakes figure { width: 11rem; font-size: .8rem; overflow-wrap: anywhere; }
.mistakes img { max-width: 10rem; max-height: 10rem; min-width: 5rem; object-fit: contain; }
.mistakes figcaption { font-weight: normal; }
""" + "".join(
    f".h{shade} {{ background: rgb(26 102 208 / {shade / _SHADES * 0.75:.3f}); }}\n"
    for shade in range(1, _SHADES + 1)
)


def write(
    path: str, title: str, figures: Sequence[Figures], comparisons: Sequence[Comparison] = ()
) -> None:
    """Writes the page; it appears when it is complete, and replaces an existing file.

    Args:
        path: path of the file.
        title, figures, comparisons: see `render`.
    """
    storage.write_text(path, render(title, figures, comparisons))


def render(title: str, figures: Sequence[Figures], comparisons: Sequence[Comparison] = ()) -> str:
    """Returns the page.

    Args:
        title: plain text.
        figures: the figures of each model.
        comparisons: one for each pair of models, if there are several.
    """
    if len(figures) == 1:
        parts = list(sections(figures[0]))
    else:
        parts = [_side_by_side(figures), _comparisons(comparisons)]
        for each in figures:
            parts += [f"<h2>{_text(each.model)}</h2>", *sections(each, level=3)]
    return html_page.render(printable(title), parts, style=STYLE)


def sections(figures: Figures, level: int = 2) -> Iterator[str]:
    """Yields the HTML of one model; a page that embeds it adds `STYLE` to its style.

    Args:
        figures: the figures of the model.
        level: heading level: 2 for `<h2>`.
    """

    def heading(title: str) -> str:
        return f"<h{level}>{title}</h{level}>"

    yield _summary(figures)
    if figures.slices:
        yield heading("Parts of the images") + _slices(figures.slices)
    if figures.calibration is not None and figures.calibration.images.sum():
        yield heading("Calibration") + _calibration(figures.calibration)
    if figures.confusion:
        yield heading("Classes") + _classes(figures)
        yield heading("Confusion matrix") + _matrix(figures)
    for title, mistakes in figures.mistakes.items():
        if mistakes:
            yield heading(_text(title)) + _mistakes(mistakes)
    if figures.problems:
        yield heading("Images that cannot be used") + _problems(figures.problems)


def _text(content: str) -> str:
    """Plain text as HTML on one line, without characters that cannot be seen."""
    return html_page.text(visible(printable(content)))


def _summary(figures: Figures) -> str:
    rows = [[_text("model"), _text(figures.model)]]
    rows += [[_text(title), _text(value)] for title, value in figures.summary.items()]
    notes = [f"<p class=bad>Warning: {_text(line)}</p>" for line in figures.warnings]
    notes += [f"<p>Note: {_text(line)}</p>" for line in figures.notes]
    return table(["", ""], rows) + "".join(notes)


def _slices(slices: Mapping[str, Mapping[str, str]]) -> str:
    titles = list(dict.fromkeys(title for metrics in slices.values() for title in metrics))
    rows = [
        [_text(name), *(_text(metrics.get(title, "–")) for title in titles)]
        for name, metrics in slices.items()
    ]
    return table(["", *map(_text, titles)], rows)


def _side_by_side(figures: Sequence[Figures]) -> str:
    titles = list(dict.fromkeys(title for each in figures for title in each.summary))
    titles = [title for title in titles if title != "images"]
    rows = [
        [_text(each.model), *(_text(short_value(each.summary.get(title))) for title in titles)]
        for each in figures
    ]
    return "<h2>Models on the same images</h2>" + table(["model", *map(_text, titles)], rows)


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    header, rows, method = comparison_table(comparisons)
    cells = [[_text(cell) for cell in row] for row in rows]
    notes = "<br>".join(map(_text, method))
    return f"<h2>Differences</h2>{table([*map(_text, header)], cells)}<p>{notes}</p>"


def _calibration(calibration: Calibration) -> str:
    note = (
        f"<p>Expected calibration error (ECE) {calibration.error:.4f}: the mean difference between "
        f"probability and accuracy in {len(calibration.images)} equally wide bins of the "
        "probability of the prediction. A well calibrated model is right in 80 % of the cases in "
        "which it states 0.8. The orange part of a bar is the difference: below the diagonal the "
        "model is overconfident, above it underconfident.</p>"
    )
    rows = [
        [
            f"{each.left:.3f} – {each.right:.3f}",
            f"{each.images:,}",
            *(f"{value:.4f}" for value in (each.confidence, each.accuracy)),
        ]
        for each in calibration.bins()
        if each.images
    ]
    header = ["probability", "images", "mean probability", "accuracy"]
    plots = f"<div class=plots>{_reliability_svg(calibration)}{_counts_svg(calibration)}</div>"
    return note + plots + table(header, rows)


def _x(value: float) -> float:
    return _LEFT + value * _SIDE


def _reliability_svg(calibration: Calibration) -> str:
    """Bars of accuracy over the probability, the difference to it, and the diagonal."""
    height = _SIDE + _BOTTOM + 10

    def y(value: float) -> float:
        return 10 + (1 - value) * _SIDE

    parts = [*_axes(y), *_x_axis(height)]
    for each in calibration.bins():
        if not each.images:
            continue
        left, width = _x(each.left) + 0.5, (each.right - each.left) * _SIDE - 1
        low, high = sorted((each.accuracy, each.confidence))
        parts.append(_bar(left, y(low), width, y(0), _COLOR))
        parts.append(_bar(left, y(high), width, y(low), _GAP_COLOR))
    parts.append(
        f'<line class=axis x1="{_x(0)}" y1="{y(0)}" x2="{_x(1)}" y2="{y(1)}" '
        'stroke-dasharray="4 3" />'
    )
    return _figure("Accuracy of the predictions", height, parts)


def _counts_svg(calibration: Calibration) -> str:
    """Bars of the share of the images in each bin."""
    height, total = _SIDE + _BOTTOM + 10, calibration.images.sum()
    top = calibration.images.max() / total

    def y(value: float) -> float:
        return 10 + (1 - value / top) * _SIDE

    parts = [*_axes(y, top), *_x_axis(height)]
    for each in calibration.bins():
        left, width = _x(each.left) + 0.5, (each.right - each.left) * _SIDE - 1
        parts.append(_bar(left, y(each.images / total), width, y(0), _COLOR))
    return _figure("Share of the images", height, parts)


def _bar(left: float, top: float, width: float, bottom: float, color: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{max(0.0, bottom - top):.1f}" fill="{color}" fill-opacity="0.75" />'
    )


def _axes(y, top: float = 1.0) -> Iterator[str]:
    for share in (0, 0.25, 0.5, 0.75, 1):
        height = y(share * top)
        yield f'<line class=grid x1="{_x(0)}" x2="{_x(1)}" y1="{height:.1f}" y2="{height:.1f}" />'
        label = f"{share * top:.2f}" if top == 1 else f"{share * top:.1%}"
        yield f'<text x="{_LEFT - 5}" y="{height + 4:.1f}" text-anchor="end">{label}</text>'


def _x_axis(height: int) -> Iterator[str]:
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        yield (
            f'<text x="{_x(share):.1f}" y="{height - _BOTTOM + 16}" '
            f'text-anchor="middle">{share:.1f}</text>'
        )
    title = "probability of the prediction"
    yield f'<text x="{_x(0.5)}" y="{height - 4}" text-anchor="middle">{title}</text>'


def _figure(title: str, height: int, parts: Sequence[str]) -> str:
    return (
        f"<figure><figcaption>{title}</figcaption>"
        f'<svg width="{_LEFT + _SIDE + 20}" height="{height}" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _classes(figures: Figures) -> str:
    """The classes in label order; if there are very many, those with the lowest recall."""
    found = by_class(figures.confusion, figures.class_names)
    shown = [item for item in found.items() if item[1].images or item[1].predicted]
    note = f"<p>Classes with images or predictions: {len(shown):,} of {len(found):,}."
    if len(shown) > MAX_CLASSES:
        shown = sorted(shown, key=lambda item: item[1].rank)[:MAX_CLASSES]
        note += f" Shown are the {MAX_CLASSES} with the lowest recall; the JSON output has all."
    rows = [
        [
            _text(name),
            f"{metrics.images:,}",
            _share(metrics.recall),
            _share(metrics.precision),
            _text(metrics.mistaken_for or "–"),
        ]
        for name, metrics in shown
    ]
    header = ["class", "images", "recall", "precision", "mistaken for"]
    return f"{note}</p>" + table(header, rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _matrix(figures: Figures) -> str:
    """A table of all classes that occur; of many, of those with the most errors."""
    confusion = figures.confusion
    names, number = _matrix_classes(figures)
    images = collections.Counter()
    for (name, _), count in confusion.items():
        images[name] += count
    rows = [
        [_text(name), *(_cell(confusion.get((name, other), 0), images[name]) for other in names)]
        for name in names
    ]
    note = "<p>Rows: true class. Columns: prediction. Color: share of the row."
    if number > len(names):
        note += f" {len(names)} of {number:,} classes, those with the most errors."
    head = "".join(f"<th scope=col>{_text(name)}</th>" for name in ["", *names])
    body = "\n".join(
        f"<tr><th scope=row>{row[0]}</th>{_mark_diagonal(row[1:], index)}</tr>"
        for index, row in enumerate(rows)
    )
    return (
        f"{note}</p><div class='scroll matrix'><table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(count: int, total: int) -> tuple[str, str]:
    """The shade of a cell and its text."""
    shade = round(_SHADES * count / total) if total else 0
    return (f"h{shade}" if shade else ""), (f"{count:,}" if count else "")


def _mark_diagonal(cells: Sequence[tuple[str, str]], diagonal: int) -> str:
    found = []
    for index, (shade, content) in enumerate(cells):
        names = " ".join(filter(None, [shade, "right" if index == diagonal else ""]))
        found.append(f'<td class="{names}">{content}</td>' if names else f"<td>{content}</td>")
    return "".join(found)


def _matrix_classes(figures: Figures) -> tuple[list[str], int]:
    """The classes to show, in label order, and the number of all that occur."""
    errors, occurring = collections.Counter(), set()
    for (name, predicted), count in figures.confusion.items():
        occurring |= {name, predicted}
        if name != predicted:
            errors[name] += count
            errors[predicted] += count
    known = dict.fromkeys(figures.class_names)
    order = [name for name in known if name in occurring]
    order += sorted(occurring - known.keys())
    if len(order) <= MAX_MATRIX:
        return order, len(order)
    chosen = set(sorted(order, key=lambda name: -errors[name])[:MAX_MATRIX])
    return [name for name in order if name in chosen], len(order)


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    return f"<div class=mistakes>{''.join(map(_mistake, mistakes))}</div>"


def _mistake(mistake: Mistake) -> str:
    prediction = mistake.prediction
    preview = (
        html_page.image(mistake.preview, prediction.image, kind="jpeg") if mistake.preview else ""
    )
    own = ""
    if prediction.class_probability is not None:
        own = f" {prediction.class_probability:.4f}, rank {prediction.rank:,}"
    names = [f"<b>{_text(prediction.class_name)}</b>{own}"]
    names += [
        f"prediction <b class=bad>{_text(prediction.predicted)}</b> {prediction.probability:.4f}"
    ]
    return (
        f"<figure>{preview}<figcaption>{'<br>'.join(names)}<br>"
        f"<small>{_text(prediction.image)}</small></figcaption></figure>"
    )


def _problems(problems: Sequence[tuple[str, str]]) -> str:
    rows = [[_text(path), _text(reason)] for path, reason in problems[:MAX_PROBLEMS]]
    more = len(problems) - MAX_PROBLEMS
    rest = f"<p>{more:,} more are listed in the JSON output.</p>" if more > 0 else ""
    return table(["image", "reason"], rows) + rest
