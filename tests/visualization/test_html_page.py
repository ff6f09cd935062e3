# SPDX-License-Identifier: Apache-2.0
import re
import urllib.parse

import pytest

from mixer_tf.visualization import html_page


@pytest.mark.parametrize("path", ["/runs/a/page.html", '/runs/"é <b>/x#1?.html'])
def test_a_path_of_this_machine_is_a_link(path):
    (target,) = re.findall(r'<a href="([^"<>#?]*)">', html_page.link(path))
    assert urllib.parse.unquote(target) == path


@pytest.mark.parametrize("path", ["gs://bucket/page.html", "javascript:alert(1)", "page.html"])
def test_another_path_is_text(path):
    assert html_page.link(path) == f"<code><bdi>{path}</bdi></code>"
