# SPDX-License-Identifier: Apache-2.0
"""docs/evaluation_protocols.md: its commands are valid, and its figures are those of the code."""

import pathlib
import re
import shlex

import pytest

from mixer_tf import recipes
from mixer_tf.cli import main
from mixer_tf.evaluation import fewshot
from mixer_tf.evaluation.vtab import protocols
from mixer_tf.evaluation.vtab.tasks import NATURAL, TASKS
from mixer_tf.models import costs
from mixer_tf.recipes import bit_hyperrule
from mixer_tf.recipes.schema import ModelOptions
from pipeline import local_runner

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "evaluation_protocols.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
COMMANDS = "".join(BLOCKS).replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_and_their_values_are_valid(line):
    program, *arguments = shlex.split(line)
    if program == "python":
        assert arguments[:2] == ["-m", "pipeline.local_runner"]
        local_runner.main.make_context("local_runner", arguments[2:])
        return
    context = main.make_context("mixer", arguments)
    command = main
    while hasattr(command, "commands"):
        name, command, arguments = command.resolve_command(context, arguments)
        context = command.make_context(name, list(arguments), parent=context)
    assert program == "mixer" and command.name


def test_figures_are_those_of_the_code():
    assert (fewshot.BIAS, fewshot.EPSILON, fewshot.L2) == (100, 1e-5, 2**10)
    assert fewshot.SHOTS == (1, 5, 10, 25) and fewshot.SEEDS == protocols.SEEDS == (0, 1, 2)
    assert protocols.LEARNING_RATES == (0.003, 0.01, 0.03) and protocols.STEPS == (2500,)
    steps = protocols.STEPS[0] * 512
    operations = 6 * costs.count_multiply_adds(ModelOptions(name="mixer_b16").config(1000)) * steps
    assert f"{operations:.1e}".replace("e+", "e") in TEXT
    assert bit_hyperrule.LEARNING_RATE == 0.003 and bit_hyperrule.BATCH_SIZE == 512


def test_the_tables_are_those_of_the_code():
    for name, num_images in (("small", 1), ("medium", 20_000), ("large", 500_000)):
        warmup, *decays, end = (f"{step:,}" for step in bit_hyperrule.boundaries(num_images))
        assert f"`bit_hyperrule_{name}` | {warmup}; {', '.join(decays)}; {end} |" in TEXT
        assert recipes.get(f"bit_hyperrule_{name}")
    assert not any(task.crops for task in TASKS if task.group == "structured")
    assert all(task.crops for task in TASKS if task.group != "structured")
    still = {task.name.partition("-")[0] for task in TASKS if not task.flips}
    assert still == {"svhn", "dsprites", "smallnorb"}
    assert NATURAL in {task.group for task in TASKS}
