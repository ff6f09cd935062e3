# SPDX-License-Identifier: Apache-2.0
"""`mixer recipes`: what can be trained as it is, and every field that can be set."""

from __future__ import annotations

import dataclasses
import inspect
import re

import click

from mixer_tf.cli.command import Command
from mixer_tf.console import format_table


@click.command(cls=Command)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="The recipe NAME as JSON.")
def recipes(name: str | None, as_json: bool) -> None:
    """Shows the recipes, or all fields of one.

    Every field can be changed for one training with --set.

    \b
    Examples:
      mixer recipes
      mixer recipes photos
      mixer train --source=folder:pets --recipe=photos --set training.epochs=30
    """
    from mixer_tf import recipes as library

    if name is None:
        if as_json:
            raise click.UsageError("--json needs the NAME of a recipe.")
        click.echo(_table([library.get(known) for known in library.list_names()]))
        return
    recipe = library.get(name)
    click.echo(recipe.to_json() if as_json else _describe(recipe))


def _table(found) -> str:
    rows = [
        [
            *(recipe.name, recipe.model.name, recipe.summary),
            *(str(recipe.model.image_size), _length(recipe.training)),
            str(recipe.training.batch_size),
        ]
        for recipe in found
    ]
    header = ("name", "model", "what for", "image", "epochs", "batch")
    return format_table(header, rows, left=3)


def _length(training) -> str:
    return str(training.epochs) if training.steps is None else f"{training.steps:,} steps"


def _describe(recipe) -> str:
    """Every field with its value and its meaning, section by section."""
    formatter = click.HelpFormatter(width=100)
    formatter.write(f"{recipe.name}: {recipe.summary}\n")
    for section in dataclasses.fields(recipe):
        options = getattr(recipe, section.name)
        if not dataclasses.is_dataclass(options):
            continue
        meanings = _meanings(type(options))
        rows = [
            (f"{section.name}.{field.name}={_show(options, field)}", meanings.get(field.name, ""))
            for field in dataclasses.fields(options)
        ]
        formatter.write("\n")
        formatter.write_dl(rows, col_max=40)
    return formatter.getvalue().rstrip()


def _show(options, field: dataclasses.Field) -> str:
    """A value as --set takes it."""
    value = getattr(options, field.name)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return {None: "none", True: "true", False: "false"}[value] if _is_word(value) else f"{value}"


def _is_word(value) -> bool:
    return value is None or isinstance(value, bool)


def _meanings(options: type) -> dict[str, str]:
    """Field → its text in the docstring, whose part `Attributes:` has "name[, name]: text"."""
    _, _, text = inspect.getdoc(options).partition("Attributes:\n")
    found = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + text):
        names, _, meaning = entry.strip().partition(": ")
        for name in names.split(", "):
            found[name] = " ".join(meaning.split())
    return found
