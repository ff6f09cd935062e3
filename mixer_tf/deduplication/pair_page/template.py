# SPDX-License-Identifier: Apache-2.0
"""The HTML, style and script of the page, which are files beside this module, as one document."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
import re
from collections.abc import Mapping
from typing import Any


def fill(fields: Mapping[str, str]) -> str:
    """Returns the page with its fields, in one pass: what a field contains is not replaced.

    Args:
        fields: name of each field of `page.html` but the policy, the style and the script → HTML.
    """
    style, script = _read("page.css"), _read("page.js")
    fields = {**fields, "style": style, "script": script, "policy": _policy(style, script)}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: fields[found[1]], _read("page.html"))


def to_json(content: Any) -> str:
    """Returns JSON without the characters that end an element or a line; the values stay."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _read(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """A Content Security Policy that allows this style and this script alone."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    """The digest of an element with this content, which is on lines of its own."""
    digest = hashlib.sha256(f"\n{content}".encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
