# SPDX-License-Identifier: Apache-2.0
"""Mutated requests to the signatures of an exported model: an answer, or a refusal."""

import pathlib

import harness
import mutations
import pytest

from mixer_tf import factory
from mixer_tf.export.saved_model import export_saved_model
from mixer_tf.serving import contract

SCRIPT = pathlib.Path(__file__).parents[1] / "mutated" / "request_predictions.py"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("exported") / "1")
    recipe = harness.tiny_recipe()
    model = factory.from_recipe(recipe, len(harness.CLASS_NAMES))
    export_saved_model(model, recipe, harness.CLASS_NAMES, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP"])
def test_a_mutated_image_is_classified_or_refused(exported, image_format):
    findings = mutations.run(str(SCRIPT), exported, contract.SERVING_SIGNATURE, image_format, 2000)
    findings.require_none()
    assert 0 < findings.accepted < 2000


@pytest.mark.slow
def test_a_mutated_example_is_classified_or_refused(exported):
    findings = mutations.run(str(SCRIPT), exported, contract.EXAMPLES_SIGNATURE, "JPEG", 2000)
    findings.require_none()
    assert 0 < findings.accepted < 2000


def test_a_few_mutated_requests_of_other_formats_are_refused(exported):
    findings = mutations.run(str(SCRIPT), exported, contract.SERVING_SIGNATURE, "TIFF", 20)
    findings.require_none()
    assert findings.accepted == 0
