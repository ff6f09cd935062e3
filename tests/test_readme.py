# SPDX-License-Identifier: Apache-2.0
"""What the README says is so: its table, its Python, its commands and their options."""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mixer_tf import recipes
from mixer_tf.cli import main
from mixer_tf.models import registry
from mixer_tf.planning import measurement
from pipeline.configs import PipelineConfig
from pipeline.definition import create_pipeline

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINE = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def _commands() -> list[str]:
    lines = "\n".join(_blocks("sh")).replace("\\\n", " ").splitlines()
    return [line.partition(" #")[0].strip() for line in lines]


def test_table_of_models_holds_the_computed_figures():
    for name in registry.list_models():
        found = registry.describe(name)
        (row,) = re.findall(rf"^\| `{name}` .*$", README, flags=re.MULTILINE)
        assert f"| {found.parameters:,} | {found.multiply_adds / 1e9:.2f} G |" in row


def test_output_of_the_demo_is_that_of_this_version():
    """Every step of the graph and every line of the summary."""
    graph = create_pipeline(
        PipelineConfig(name="demo", root="/r", source="digits", recipe=recipes.get("digits"))
    )
    numbers = {step.id: number for number, step in enumerate(graph.components, 1)}
    for step, number in numbers.items():
        line = rf"^\[{number:2}/{len(numbers)}\] {step} .*\n"
        assert re.search(line, PIPELINE, re.MULTILINE)
    for name in ("steps", "images", "duplicates", "unusable", "test split", "pushed", "predict"):
        assert f"\n  {name} " in README
    first = rf"^\[{numbers['Trainer']:2}/{len(numbers)}\] Trainer"
    shown = re.search(rf"{first}.*?^```", README, re.MULTILINE | re.DOTALL)
    assert shown.group() in PIPELINE


def test_python_runs():
    (code,) = _blocks("python")
    exec(compile(code, "README.md", "exec"), {})


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"\bmake ([a-z-]+)`?", README)
    assert {"demo", "test", "setup"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_options_of_the_local_runner_exist():
    help_text = _run(["python", "-m", "pipeline.local_runner", "--help"], ROOT).stdout
    table = re.findall(r"^\| `(--[a-z-]+)", README, flags=re.MULTILINE)
    used = [word for line in _commands() if "local_runner" in line for word in shlex.split(line)]
    options = {word.partition("=")[0] for word in [*table, *used] if word.startswith("--")}
    assert options
    for option in options:
        assert option in help_text, option


@pytest.fixture(scope="module")
def folder(tmp_path_factory, image_folder):
    """A folder to stand in, with the images that the README speaks of."""
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copytree(image_folder, folder / "pets")
    shutil.copy(folder / "pets" / "cat" / "000.png", folder / "photo.jpg")
    return folder


def test_commands_of_the_command_line_run_in_their_order(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(measurement, "SECONDS", 0.5)  # of `mixer plan`
    commands = [shlex.split(line) for line in _commands() if line.startswith("mixer ")]
    assert {command[1] for command in commands} == {
        *("train", "evaluate", "dedup", "data", "predict", "plan", "report", "export", "doctor")
    }
    shorter = {
        "train": ["--set", "training.epochs=1", "--set", "model.num_blocks=1"],
        "plan": ["--set", "model.num_blocks=1"],
    }
    for command in commands:
        result = CliRunner().invoke(main, [*command[1:], *shorter.get(command[1], [])])
        assert result.exit_code == 0 or command[1] == "doctor", result.output


def _run(command: list[str], cwd: pathlib.Path) -> subprocess.CompletedProcess:
    program = pathlib.Path(sys.executable).with_name(pathlib.Path(command[0]).name)
    return subprocess.run([program, *command[1:]], cwd=cwd, capture_output=True, text=True)
