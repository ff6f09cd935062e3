# SPDX-License-Identifier: Apache-2.0
"""Options that several sub-commands share, as decorators. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from mixer_tf.datasets.sources import csv, opening
from mixer_tf.recipes.shortcuts import SHORTCUTS

_COLUMNS = f"{__name__}.columns"
_DEFAULT_RECIPE = "Default: digits for the digits, photos for all other sources."


def source_options(command: Callable) -> Callable:
    """Adds --source, --columns, which becomes a part of the source, and --data-dir."""
    source = click.option(
        "--source", required=True, help=f"{opening.forms()}.", callback=with_columns
    )
    data_dir = click.option(
        "--data-dir", metavar="PATH", help="Where prepared TFDS datasets are stored."
    )
    return source(columns_option(data_dir(command)))


def columns_option(command: Callable) -> Callable:
    """Adds --columns; `with_columns`, the callback of --source, reads it."""
    option = click.option(
        "--columns",
        metavar="PATH,LABEL[,SPLIT]",
        is_eager=True,  # Before --source, which it changes.
        expose_value=False,
        callback=lambda context, option, value: context.meta.__setitem__(_COLUMNS, value),
        help="For csv:PATH: the columns by name or number, such as photo,species or 2,3.",
    )
    return option(command)


def with_columns(context: click.Context, option: click.Parameter, source: str) -> str:
    """Returns the source with the columns that --columns states."""
    columns = context.meta.get(_COLUMNS)
    if columns is None:
        return source
    try:
        return csv.with_columns(source, columns)
    except ValueError as error:
        raise click.UsageError(str(error), context) from None


def recipe_options(only: str = "") -> Callable:
    """Adds --recipe and --set; `choose_recipe` takes their values.

    Args:
        only: when the options apply, such as "Without MODEL: "; empty for always.
    """
    recipe = click.option(
        "--recipe",
        "recipe_name",
        metavar="NAME",
        help=f"{only}{'the' if only else 'The'} model and its training; `mixer recipes` lists "
        f"them. {_DEFAULT_RECIPE}",
    )
    overrides = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="FIELD=VALUE",
        help=f"{only}{'change' if only else 'Change'} one field of the recipe, such as "
        "training.epochs=30. May be repeated; `mixer recipes NAME` lists the fields.",
    )
    return lambda command: recipe(overrides(command))


def shortcut_options(command: Callable) -> Callable:
    """Adds --epochs, --batch-size and --learning-rate; `choose_recipe` takes their values."""
    kinds = {"learning_rate": float}
    for key, (option, field) in reversed(SHORTCUTS.items()):
        text = f"Short for --set {field}=NUMBER."
        decorator = click.option(option, key, type=kinds.get(key, int), metavar="NUMBER", help=text)
        command = decorator(command)
    return command


def output_option(text: str) -> Callable:
    """Adds --output.

    Args:
        text: what is written there, and the default.
    """
    return click.option("--output", metavar="PATH", help=text)


def size_options(command: Callable) -> Callable:
    """Adds --image-size and --num-classes of a model that is only described."""
    image_size = click.option(
        "--image-size", default=224, show_default=True, help="Side of the input in pixels."
    )
    num_classes = click.option(
        "--num-classes", default=1000, show_default=True, help="Number of outputs of the head."
    )
    return image_size(num_classes(command))


def choose_recipe(name: str | None, source: str, overrides: Sequence[str], **shortcuts):
    """Returns the recipe that the options ask for.

    Args:
        name: of --recipe; None for the default of the source.
        source: of --source.
        overrides: of --set.
        **shortcuts: of `shortcut_options`.

    Raises:
        ValueError: the recipe is unknown, or an override is not possible.
    """
    from mixer_tf import recipes
    from mixer_tf.recipes.shortcuts import override

    recipe = recipes.get(name) if name else recipes.default_for(source)
    return override(recipe, overrides, shortcuts)
