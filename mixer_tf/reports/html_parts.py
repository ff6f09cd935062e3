# SPDX-License-Identifier: Apache-2.0
"""Parts that the sections of a run's page share, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixer_tf.messages import visible
from mixer_tf.visualization.html_page import text


def missing(content: str) -> str:
    """Returns a sentence, as HTML, that says what there is not."""
    return f"<p class=missing>{content}</p>"


def notes(lines: Sequence[str]) -> str:
    """Returns a list of plain lines; "" for none."""
    items = "".join(f"<li>{text(visible(line))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def warnings(lines: Sequence[str]) -> str:
    """Returns plain lines as warnings; "" for none."""
    return "".join(f"<p class=bad>WARNING: {text(visible(line))}</p>" for line in lines)


def counts(numbers: Mapping[str, int]) -> str:
    """Returns numbers of images: "1,289 train, 184 eval"."""
    return ", ".join(f"{number:,} {text(name)}" for name, number in numbers.items())


def facts_table(rows: Mapping[str, str]) -> str:
    """Returns a table of titles and cells, which are HTML."""
    body = "".join(
        f"<tr><th scope=row>{title}</th><td>{cell}</td></tr>" for title, cell in rows.items()
    )
    return f"<div class=scroll><table class=facts><tbody>{body}</tbody></table></div>"


def more_classes(number: int) -> str:
    """Returns the line below a table that is cut; "" where no class is left out."""
    return f"<p>{number:,} more classes are listed in report.json.</p>" if number > 0 else ""
