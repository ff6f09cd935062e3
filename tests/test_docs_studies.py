# SPDX-License-Identifier: Apache-2.0
"""docs/studies.md: its commands and options exist, its plots are small, its figures are whole."""

import pathlib
import re
import shlex

import click
import pytest
from PIL import Image

from mixer_tf.cli import main
from mixer_tf.recipes.cifar10_small import RECIPES
from mixer_tf.studies import ablation_variants, input_order

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "studies.md"
TEXT = PAGE.read_text(encoding="utf-8")
_MAX_BYTES = 100_000


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


def parse(words: list[str]) -> dict[str, object]:
    """Returns the options of a command line."""
    assert words[0] == "mixer"
    command, rest = main, words[1:]
    while isinstance(command, click.Group):
        command, rest = command.commands[rest[0]], rest[1:]
    options, _, _ = command.make_parser(click.Context(command)).parse_args(args=rest)
    return options


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words)[:60])
def test_every_command_and_its_options_exist(words):
    """Parses the command line as `mixer` does, without running it."""
    assert parse(words).get("output")


def test_an_option_that_does_not_exist_is_found():
    with pytest.raises(click.NoSuchOption):
        parse(["mixer", "study", "scaling", "--no-such-option"])


def test_the_recipes_of_the_measured_commands_exist():
    named = set(re.findall(r"cifar10_\w+", TEXT))
    assert named == {recipe.name for recipe in RECIPES}


def test_the_variants_and_the_orders_are_all_that_exist():
    for name in ablation_variants.OF_TOKEN_MIXING:
        assert f"| `{name}` |" in TEXT
    for order in input_order.ORDERS:
        assert f"`{order}`" in TEXT


def test_images_are_small_and_every_one_is_shown():
    shown = set(re.findall(r"!\[[^\]]+\]\(images/([\w.-]+)\)", TEXT))
    assert shown == {path.name for path in (PAGE.parent / "images").glob("study-*.png")}
    for name in shown:
        path = PAGE.parent / "images" / name
        assert path.stat().st_size < _MAX_BYTES and Image.open(path).format == "PNG"


def test_links_exist():
    for name in re.findall(r"[^!]\[[^\]]+\]\(([\w./-]+)\)", TEXT):
        assert (PAGE.parent / name).exists(), name
