# SPDX-License-Identifier: Apache-2.0
"""docs/data.md: its commands run in their order, and its figures are those of the code."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from mixer_tf.cli import main
from mixer_tf.datasets import files, shards, splits
from mixer_tf.datasets.sources import digits, inflated_records, opening, tfrecord_files
from mixer_tf.images import headers, jpeg_frames
from pipeline import local_runner

TEXT = (pathlib.Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")


def blocks(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    return "".join(found)


def row(title: str) -> str:
    return re.search(rf"^\| {re.escape(title)} \| (.*)$", TEXT, re.MULTILINE)[1]


def test_figures_are_those_of_the_code():
    assert f"at most about {shards.MAX_IMAGES:,} images or {shards.MAX_BYTES >> 20} MB" in TEXT
    assert f"{headers.MAX_PIXELS // 10**6} million" in row("pixels")
    assert f"{headers.MIN_SIDE} pixels, and one at most {headers.MAX_ASPECT}" in row("sides")
    assert f"{files.MAX_BYTES >> 20} MB" in row("bytes of a file")
    assert row("scans of a JPEG").startswith(f"{jpeg_frames.MAX_SCANS} ")
    record = tfrecord_files._MAX_RECORD >> 20
    assert f"{record} MB" in row("record of a TFRecord file")
    free = inflated_records.FREE_BYTES >> 20
    bound = f"{inflated_records.MAX_RATIO} times its size, or {free} MB"
    assert bound in row("compressed TFRecord file")


def test_shares_of_held_out_images_are_those_of_the_code():
    words = {0.1: "tenth", 0.2: "fifth"}
    assert f"lacks gets about a {words[splits.SHARE]} of the training images" in TEXT
    assert f"\ntest split of `digits`, a {words[digits.TEST_SHARE]}.\n" in TEXT


def test_every_kind_of_source_is_in_the_table():
    assert set(re.findall(r"^\| `([a-z]+)[:`]", TEXT, re.MULTILINE)) == set(opening.KINDS)


def test_all_options_exist():
    commands = [main.commands["train"], *main.commands["data"].commands.values()]
    known = {name for command in [*commands, local_runner.main] for name in _names(command)}
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]+", TEXT)) - {"--direct_num_workers"} <= known


def _names(command: click.Command) -> list[str]:
    return [name for option in command.params for name in option.opts]


@pytest.mark.slow
def test_commands_and_snippet_run(tmp_path, image_folder):
    shutil.copytree(image_folder, tmp_path / "pets")
    for line in blocks("sh").splitlines():
        program, *arguments = shlex.split(line)
        path = pathlib.Path(sys.executable).with_name(program)
        result = subprocess.run([path, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, (line, result.stdout, result.stderr)
    snippet = [sys.executable, "-c", blocks("python")]
    result = subprocess.run(snippet, cwd=tmp_path, capture_output=True, text=True)
    assert "['cat', 'dog']" in result.stdout, result.stderr


def test_the_commands_that_write_no_model_run(tmp_path, image_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink(image_folder, "pets")
    for line in blocks("sh").splitlines():
        program, *arguments = shlex.split(line)
        if arguments[0] == "data":
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 0, (line, result.output)
