# SPDX-License-Identifier: Apache-2.0
"""docs/training.md: its commands run in their order, its recipes, fields and options exist."""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from mixer_tf import recipes
from mixer_tf.training import cluster

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "training.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_recipes_and_fields_exist():
    for name in re.findall(r"`((?:finetune|pretrain|ablation)_\w+)(?:_…)?`", TEXT):
        assert any(known.startswith(name.rstrip("_")) for known in recipes.list_names()), name
    fields = [f for f in re.findall(r"`([a-z]+\.\w+)=([\w.,*=]+)`", TEXT) if f[1] != "PATH"]
    assert len(fields) >= 7
    for field, value in fields:
        base = ["optimizer.name=momentum"] if "momentum" in field else []
        assert recipes.get("digits").override([*base, f"{field}={value}"])


def test_strategies_are_all_that_exist():
    table = TEXT.partition("| `--strategy` |")[2].partition("\n\n")[0]
    found = set(re.findall(r"`([\w:@]+)`", table))
    assert {name.partition(":")[0] for name in found} == {
        name.partition(":")[0] for name in cluster.STRATEGIES if name != "auto"
    }


def test_links_exist():
    for name in re.findall(r"\]\(([\w./-]+)\)", TEXT):
        assert (PAGE.parent / name).exists(), name


@pytest.mark.slow
def test_commands_run(tmp_path, image_folder):
    shutil.copytree(image_folder, tmp_path / "pets")
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line)
        path = pathlib.Path(sys.executable).with_name(program)
        result = subprocess.run([path, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, (line, result.stdout, result.stderr)
    assert (tmp_path / "augmentation.png").exists()
    assert recipes.get(str(tmp_path / "pets-sweep" / "best_recipe.json"))
