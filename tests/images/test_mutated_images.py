# SPDX-License-Identifier: Apache-2.0
"""Seeded mutations of each format of images, checked and decoded in a child process."""

import pathlib

import mutations
import pytest

SCRIPT = pathlib.Path(__file__).parents[1] / "mutated" / "read_images.py"
FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"),
    *("AVIF", "JPEG2000", "PPM", "ICO", "TGA"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_mutated_image_is_the_same_in_training_and_serving_or_is_refused(name):
    findings = mutations.run(str(SCRIPT), name, 2000)
    findings.require_none()
    assert findings.accepted > 0


def test_a_few_mutated_gifs_are_the_same_in_training_and_serving_or_are_refused():
    mutations.run(str(SCRIPT), "GIF", 100).require_none()
