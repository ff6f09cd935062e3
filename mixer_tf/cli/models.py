# SPDX-License-Identifier: Apache-2.0
"""`mixer models`: the table of models. No TensorFlow."""

from __future__ import annotations

import itertools

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.console import format_table
from mixer_tf.models import registry


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option(
    "--family",
    type=click.Choice([*registry.FAMILIES, "all"]),
    default="mixer",
    show_default=True,
    help="Family to list if there is no NAME.",
)
@options.size_options
def models(names: tuple[str, ...], family: str, image_size: int, num_classes: int) -> None:
    """Shows models with their dimensions, parameters and multiply-adds.

    Without NAME: the paper's seven models, or the models that it compares them with. The sizes s,
    b, l and h take any patch size that divides the image size.

    \b
    Examples:
      mixer models
      mixer models --family=all
      mixer models mixer_s8 mixer_s4 --image-size=32 --num-classes=10
    """
    if not names:
        families = registry.FAMILIES if family == "all" else [family]
        names = [name for known in families for name in registry.list_models(known)]
    found = [registry.describe(name, image_size, num_classes) for name in names]
    tables = []
    for _, group in itertools.groupby(found, key=lambda model: type(model.config)):
        tables.append(_table(list(group)))
    click.echo("\n\n".join(tables))


def _table(models: list) -> str:
    """The models of one family, with the dimensions that their names stand for."""
    dimensions = registry.family_of(models[0].name).dimensions
    header = ("name", *dimensions, "parameters", "multiply-adds")
    rows = [
        [
            *(model.name, *(_text(getattr(model.config, field)) for field in dimensions)),
            *(f"{model.parameters:,}", f"{model.multiply_adds / 1e9:.2f} G"),
        ]
        for model in models
    ]
    return format_table(header, rows)


def _text(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
