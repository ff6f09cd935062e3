# SPDX-License-Identifier: Apache-2.0
"""The project's own code does not change while the tests run: it is fingerprinted once."""

import functools

import pytest

from pipeline import fingerprints


@pytest.fixture(scope="session", autouse=True)
def one_fingerprint_of_the_project():
    """A second of work for each configuration; other source trees are read whenever asked for."""
    compute = fingerprints.fingerprint_code
    own = functools.cache(compute)

    def fingerprint_code(root=fingerprints.PROJECT):
        return dict(own(root)) if root == fingerprints.PROJECT else compute(root)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprints, "fingerprint_code", fingerprint_code)
        yield
