# SPDX-License-Identifier: Apache-2.0
"""docs/engines.md: its commands have only options that exist, and its table follows its formula."""

import argparse
import contextlib
import pathlib
import re
import shlex

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import kubeflow_runner, local_runner
from pipeline.flink import __main__ as flink
from pipeline.flink import engine

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
MODULES = {
    "pipeline.local_runner": local_runner.main,
    "pipeline.kubeflow_runner": kubeflow_runner.main,
}


def unknown_beam_options(text: str) -> list[str]:
    parser = argparse.ArgumentParser(allow_abbrev=False, conflict_handler="resolve")
    for group in PipelineOptions.__subclasses__():
        with contextlib.suppress(AttributeError):  # a group without options of its own
            group._add_argparse_args(parser)
    names = [word.partition("=")[0] for word in shlex.split(text)]
    return [name for name in names if name not in parser._option_string_actions]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("python")])
def test_commands_are_accepted(line):
    words = shlex.split(line)
    if words[2] == "pipeline.flink":
        command, arguments = flink.main.commands[words[3]], words[4:]
        assert command.make_context(words[3], arguments).params is not None
        return
    context = MODULES[words[2]].make_context(words[2], words[3:])
    assert context.params["beam"]
    for options in context.params["beam"]:
        assert not unknown_beam_options(options)


def test_an_unknown_option_of_beam_would_be_noticed():
    assert unknown_beam_options("--runner=DirectRunner --no_such=1") == ["--no_such"]


def test_the_options_of_the_page_are_those_of_the_engine():
    given = engine._options(1, 2, "--environment_type=EXTERNAL --environment_cache_millis=60000")
    assert not unknown_beam_options(given)
    for word in shlex.split(given):
        assert word.partition("=")[0] in PAGE


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = [shlex.split(line)[1] for line in COMMANDS if line.startswith("make ")]
    assert set(targets) == {"flink-embedded", "flink-cluster"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.search(r"^FLINK := ", makefile, re.MULTILINE)


def test_the_manifest_is_valid_yaml_with_the_image_and_the_port_of_the_options():
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    (pool,) = yaml.safe_load(text)["spec"]["podTemplate"]["spec"]["containers"]
    assert pool["command"][-1] == "--service_port=50000"
    assert "--environment_config=localhost:50000" in PAGE


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_costs_follow_from_the_rates():
    rates = {
        name: number(value) for name, value in re.findall(r"^\| (\w+) \| ([\d,]+) \|", PAGE, re.M)
    }
    assert set(rates) == {"read", "fingerprint", "check", "pairs"}
    each = sum(1 / rates[name] for name in ("read", "fingerprint", "check"))
    rows = re.findall(r"^\| (\d+) M \(.*?\) \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 2
    for millions, cells in rows:
        hours = (int(millions) * 1e6 * (each + 1e5 / rates["pairs"]) + 1e5 * each) / 3600
        expected = (hours, hours / 64, hours / 1000, 0.06 * hours)
        for cell, value in zip(cells.split(" | "), expected, strict=True):
            assert number(cell) == pytest.approx(value, rel=0.05)


def test_tests_that_are_named_exist():
    for path in re.findall(r"`(tests/\S+?\.py)`", PAGE):
        assert (ROOT / path).exists(), path
