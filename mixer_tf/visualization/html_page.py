# SPDX-License-Identifier: Apache-2.0
"""Self-contained HTML pages: one style, tables, and images inside the file.

The pages load nothing from elsewhere and, unless they are given a script, run none. What comes from
data, such as class names and paths, goes through `text`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import urllib.parse
from collections.abc import Iterable, Sequence

STYLE = """
:root { color-scheme: light dark; --line: #8885; --bad: #b42318; --good: #177245; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8f8f; --good: #7fd4a3; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 84rem;
  padding: 1rem 1.5rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 1.8rem; }
p { max-width: 60rem; }
table { border-collapse: collapse; }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; vertical-align: top; }
th:first-child { text-align: left; padding-left: 0; overflow-wrap: anywhere; max-width: 22rem; }
td.words, th.words { text-align: left; }
.scroll { overflow-x: auto; }
.bad { color: var(--bad); }
.good { color: var(--good); }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; }
figcaption { font-weight: 600; }
img { max-width: 100%; }
svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
svg .axis { stroke: currentColor; stroke-opacity: .5; }
svg .grid { stroke: currentColor; stroke-opacity: .15; }
"""


def render(title: str, sections: Iterable[str], *, style: str = "", script: str = "") -> str:
    """Returns a page.

    Args:
        title: plain text, the title and the first heading.
        sections: HTML, in their order.
        style: rules to add to `STYLE`.
        script: JavaScript to run at the end of the page.
    """
    style = STYLE + style
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}"
    if script:
        policy += f"; script-src {_hash(script)}"
        script = f"<script>{script}</script>\n"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<h1>{text(title)}</h1>\n" + "\n".join(sections) + f"\n{script}</body>\n</html>\n"
    )


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def text(content: str) -> str:
    """Returns plain text as HTML, in its own direction of writing."""
    return f"<bdi>{html.escape(content)}</bdi>"


def link(path: str) -> str:
    """Returns the path of a file, which opens it where it is an absolute path of this machine."""
    shown = f"<code>{text(path)}</code>"
    if not os.path.isabs(path):
        return shown
    return f'<a href="{html.escape(urllib.parse.quote(os.fsencode(path)))}">{shown}</a>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table of cells that are HTML already; the first of each row is its heading."""
    head = "".join(f"<th scope=col>{cell}</th>" for cell in header)
    body = "\n".join(
        f"<tr><th scope=row>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return (
        f"<div class=scroll><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"
        "</table></div>"
    )


def image(content: bytes, alt: str, *, kind: str = "png") -> str:
    """Returns an image inside the page.

    Args:
        content: the encoded image.
        alt: plain text that describes it.
        kind: "png", "jpeg" or "svg+xml".
    """
    data = base64.b64encode(content).decode()
    return f'<img src="data:image/{kind};base64,{data}" alt="{html.escape(alt)}">'
