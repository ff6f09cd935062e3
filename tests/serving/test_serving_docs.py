# SPDX-License-Identifier: Apache-2.0
"""What docs/serving.md says: commands, options, files, and the number of wrong requests."""

import pathlib
import re
import shlex

import click
import pytest

from mixer_tf.cli import main

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text("utf-8")
COMMANDS = re.findall(r"^(mixer .*?)(?:\s+#.*)?$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_and_options_exist(line):
    words = shlex.split(line)[1:]
    command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    with command.make_context(command.name, words) as context:
        assert context.params["model"] in ("pets-model", "pets")


def test_all_commands_of_serving_are_there():
    assert {line.split()[1] for line in COMMANDS} == {
        "serve",
        "predict",
        "check",
        "bench",
        "export",
    }


def test_files_exist():
    found = set(re.findall(r"deploy/[\w./]+\w", PAGE))
    assert {"deploy/compose.yaml", "deploy/kubernetes/cpu", "deploy/models.config"} <= found
    for path in found:
        assert (ROOT / path).exists() or list(ROOT.glob(f"{path}*")), path


def test_the_number_of_wrong_requests():
    from mixer_tf.export import served_check

    (number,) = re.findall(r"each of (\d+) wrong requests", PAGE)
    assert len(served_check.wrong_inputs(b"", 16)) == int(number)
