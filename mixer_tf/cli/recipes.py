# SPDX-License-Identifier: Apache-2.0
"""`mixer recipes`: the table of recipes, and every field of one that can be set."""

from __future__ import annotations

import itertools

import click

from mixer_tf.cli.command import Command
from mixer_tf.console import format_table


@click.command(cls=Command)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the recipe NAME as JSON.")
def recipes(name: str | None, as_json: bool) -> None:
    """Shows the recipes, or one with its commands, cost, result and all fields.

    Every field can be changed with --set. The fields of the model are those of its family: another
    --set model.name may have other fields.

    \b
    Examples:
      mixer recipes
      mixer recipes photos
      mixer train --source=folder:pets --recipe=photos --set training.epochs=30
    """
    from mixer_tf import recipes as library

    if name is None:
        if as_json:
            raise click.UsageError("--json requires the NAME of a recipe.")
        click.echo(_table([library.get(known) for known in library.list_names()]))
        return
    recipe = library.get(name)
    click.echo(recipe.to_json() if as_json else _describe(recipe, library.notes(name)))


def _table(found) -> str:
    """The figures of each recipe in columns, and below them its purpose; in 100 columns."""
    rows = [
        [
            *(recipe.name, recipe.model.name, str(recipe.model.image_size)),
            *(_length(recipe.training), str(recipe.training.batch_size)),
        ]
        for recipe in found
    ]
    table = format_table(("name", "model", "image", "epochs", "batch"), rows, left=2)
    header, *lines = table.split("\n")
    described = zip(lines, (f"  {recipe.summary}" for recipe in found), strict=True)
    return "\n".join([header, *itertools.chain.from_iterable(described)])


def _length(training) -> str:
    return str(training.epochs) if training.steps is None else f"{training.steps:,} steps"


def _describe(recipe, notes: str) -> str:
    """The notes, and every field with its value and its meaning, section by section."""
    formatter = click.HelpFormatter(width=100)
    formatter.write(f"{recipe.name}: {recipe.summary}\n")
    if notes:
        formatter.write(f"\n{notes}\n")
    for section, options in recipe.sections().items():
        meanings = options.field_docs()
        rows = [
            (f"{section}.{field}={_text(value)}", meanings.get(field, ""))
            for field, value in options.to_dict().items()
        ]
        formatter.write("\n")
        formatter.write_dl(rows, col_max=40)
    return formatter.getvalue().rstrip()


def _text(value) -> str:
    """A value as --set takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
