# SPDX-License-Identifier: Apache-2.0
"""The facts of a run come back from JSON as they were."""

import json

import pytest

from mixer_tf.reports.facts import PIPELINE, RunFacts


def test_every_section_comes_back_from_json(full):
    assert RunFacts.from_json(full.to_json()) == full
    empty = RunFacts(PIPELINE, "n", "/r")
    assert RunFacts.from_json(empty.to_json()) == empty


def test_fields_of_a_later_version_are_left_out(full):
    values = json.loads(full.to_json())
    values["new"] = values["data"]["new"] = 1
    assert RunFacts.from_json(json.dumps(values)) == full


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "pipeline", "name": "n", "data": 3}'])
def test_what_are_no_facts_is_one_clear_error(text):
    with pytest.raises(ValueError):
        RunFacts.from_json(text)
