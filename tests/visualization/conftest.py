# SPDX-License-Identifier: Apache-2.0
"""A browser that the tests of this package share; see `webdriver.needs_browser`."""

import pytest
from webdriver import open_browser


@pytest.fixture(scope="session")
def browser():
    with open_browser() as browser:
        yield browser
