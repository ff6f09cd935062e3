# SPDX-License-Identifier: Apache-2.0
"""The page of the server, on which one drops images; it loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import re

CONTENT_TYPE = "text/html; charset=utf-8"
_PAGE = importlib.resources.files(__package__).joinpath("page.html").read_text("utf-8")


def _hash(tag: str) -> str:
    """Returns the hash by which a browser recognizes the only element of a kind in the page."""
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", _PAGE, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; script-src '{_hash('script')}'; style-src '{_hash('style')}'; "
    "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (("Content-Security-Policy", _POLICY), ("Cache-Control", "no-store"))


def render(name: str) -> bytes:
    """Returns the page for a model of this name."""
    return _PAGE.replace("{{model}}", html.escape(name)).encode()
