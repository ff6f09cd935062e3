# SPDX-License-Identifier: Apache-2.0
"""docs/deduplication.md: its commands run in their order, its options, files and columns exist."""

import pathlib
import re
import shlex
import shutil

import pytest
from click.testing import CliRunner

from benchmarks.deduplication.__main__ import main as benchmark
from mixer_tf.cli import main
from mixer_tf.deduplication.standalone import output, pair_table
from pipeline.configs import DEDUPLICATE
from pipeline.options import pipeline_options

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "deduplication.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_modes_columns_and_files_are_all_that_exist():
    modes = TEXT.partition("| `--deduplicate` |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` ", modes, re.MULTILINE)) == DEDUPLICATE
    assert all(f"`{column}`" in TEXT for column in pair_table.COLUMNS)
    files = TEXT.partition("| file | content |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([\w.]+)`", files, re.MULTILINE)) == set(output.RESULTS)


def test_options_exist():
    @pipeline_options
    def pipeline(**_):
        """Takes the options of the pipeline."""

    known = {
        option
        for command in ("dedup", "train")
        for p in main.commands[command].params
        for option in p.opts
    }
    known |= {option for p in pipeline.__click_params__ for option in p.opts}
    known |= {option for p in benchmark.params for option in p.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known


@pytest.mark.slow
def test_commands_run(tmp_path, image_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(image_folder, tmp_path / "pets")
    shutil.copytree(image_folder / "cat", tmp_path / "web")
    (blocks,) = ["".join(re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))]
    for line in blocks.splitlines():
        _, *arguments = shlex.split(line)
        tiny = ["--set=model.image_size=32"] if arguments[0] == "train" else []
        result = CliRunner().invoke(main, [*arguments, *tiny])
        assert result.exit_code == 0, (line, result.output)
    assert "note: images excluded by --exclude: " in result.output
