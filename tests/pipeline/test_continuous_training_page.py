# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/continuous_training.md have only options that exist."""

import pathlib
import re
import shlex

import pytest

from mixer_tf.cli.predict import predict
from pipeline import local_runner
from pipeline.configs import SCHEMA_FILE

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "continuous_training.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_accepted(line):
    words = shlex.split(line)
    if words[0] == "mixer":
        command, arguments = predict, words[2:]
    else:
        assert words[:3] == ["python", "-m", "pipeline.local_runner"]
        command, arguments = local_runner.main, words[3:]
    command.make_context(words[0], arguments)  # parses; an unknown option raises


def test_thresholds_are_those_of_the_schema():
    schema = pathlib.Path(SCHEMA_FILE).read_text()
    found = re.findall(r"(\w+) \{ threshold: ([0-9.]+) \}", schema)
    assert sorted(set(found)) == [
        ("infinity_norm", "0.2"),
        ("jensen_shannon_divergence", "0.1"),
        ("jensen_shannon_divergence", "0.2"),
    ]
    assert "| 0.2; 0.1 |" in PAGE


def test_tests_that_are_named_exist():
    for path in re.findall(r"`(tests/\S+?\.py)`", PAGE):
        assert (ROOT / path).exists(), path
