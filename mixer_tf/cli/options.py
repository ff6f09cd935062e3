# SPDX-License-Identifier: Apache-2.0
"""Options that several sub-commands share, as decorators. Imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from mixer_tf.datasets import quarantine_limit
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.sources import csv, opening, tfds
from mixer_tf.datasets.statistics_limits import OPTIONS, StatisticsLimits
from mixer_tf.recipes.shortcuts import SHORTCUTS

_COLUMNS, _SPLITS = f"{__name__}.columns", f"{__name__}.splits"
EXCLUDE_HELP = (
    "A file of images to leave out of every split, one per line: a path relative to the source, an "
    "absolute path, or an id. `mixer dedup` writes such a file, removed.txt."
)
_DEFAULT_RECIPE = "Default: digits for the digits, photos for all other sources."


def source_options(command: Callable) -> Callable:
    """Adds --source, --columns and --splits, which become parts of the source, and --data-dir."""
    source = click.option(
        "--source", required=True, help=f"{opening.forms()}.", callback=with_details
    )
    data_dir = click.option(
        "--data-dir", metavar="PATH", help="Where prepared TFDS datasets are stored."
    )
    return source(detail_options(data_dir(command)))


def detail_options(command: Callable) -> Callable:
    """Adds --columns and --splits; `with_details`, the callback of --source, reads them."""
    columns = _eager_option(
        "--columns",
        _COLUMNS,
        metavar="PATH,LABEL[,SPLIT]",
        help="For csv:PATH: the columns by name or number, such as photo,species or 2,3.",
    )
    splits = _eager_option(
        "--splits",
        _SPLITS,
        metavar="SPLIT=TFDS_SPLIT,...",
        help="For tfds:NAME: the images of train, eval or test, as TFDS writes them, such as "
        "eval=train[98%:]. A split that is not stated is the dataset's own, without these images.",
    )
    return columns(splits(command))


def _eager_option(name: str, key: str, **kwargs):
    """An option that is read before --source, which it changes."""

    def keep(context, option, value):
        context.meta[key] = value

    return click.option(name, is_eager=True, expose_value=False, callback=keep, **kwargs)


def with_details(context: click.Context, option: click.Parameter, source: str) -> str:
    """Returns the source with what --columns or --splits states."""
    columns, stated = context.meta.get(_COLUMNS), context.meta.get(_SPLITS)
    try:
        source = source if columns is None else csv.with_columns(source, columns)
        return source if stated is None else tfds.with_splits(source, stated)
    except ValueError as error:
        raise click.UsageError(str(error), context) from None


def numbers_of(minimum: int, kind: type = int) -> Callable:
    """Returns the callback of an option with numbers separated by commas; its value is a tuple.

    Args:
        minimum: the smallest number.
        kind: int or float.
    """

    def parse(context: click.Context, option: click.Parameter, text: str | None):
        if text is None:
            return None
        try:
            numbers = tuple(kind(word) for word in text.split(","))
        except ValueError:
            numbers = ()
        in_range = all(number >= minimum for number in numbers)  # false for NaN
        if not numbers or not in_range or len(set(numbers)) < len(numbers):
            raise click.BadParameter(
                f"must be different numbers of at least {minimum}, separated by commas; got "
                f"{text!r}."
            )
        return numbers

    return parse


def expand_home(context: click.Context, option: click.Parameter, path: str | None) -> str | None:
    """Returns a path with the home folder for "~", which shells keep in --option=~/path."""
    return None if path is None else os.path.expanduser(path)


def exclude_option(command: Callable) -> Callable:
    """Adds --exclude; `excluded_images.exclude_listed` takes its value."""
    return click.option("--exclude", metavar="FILE", callback=expand_home, help=EXCLUDE_HELP)(
        command
    )


def statistics_limit_options(command: Callable) -> Callable:
    """Adds the thresholds of anomalies; `statistics_limits` takes their values."""
    texts = {
        "unreadable": ("SHARE", "more of the images of a split cannot be decoded."),
        "near_constant": ("SHARE", "more of the images of a split are nearly of one color."),
        "skew": (
            "DIFFERENCE",
            "training differs by more, beyond chance, from another split: the share of a label, a "
            "format or of grayscale images, or the Jensen-Shannon divergence of sizes, aspect "
            "ratios, brightness, contrast or colors.",
        ),
        "class_skew": (
            "DIFFERENCE",
            "a class differs by more from the others, as when all its images are PNG, so that a "
            "model can recognize it without looking at what they show.",
        ),
    }
    for name, (metavar, text) in reversed(texts.items()):
        option = click.option(
            OPTIONS[name],
            type=click.FloatRange(0, 1),
            metavar=metavar,
            default=getattr(StatisticsLimits, name),
            help=f"Anomaly: {text}",
            show_default=True,
        )
        command = option(command)
    return command


def statistics_limits(options: Mapping[str, Any]) -> StatisticsLimits:
    """Returns the thresholds that the values of `statistics_limit_options` state."""
    return StatisticsLimits(**{name: options[f"max_{name}"] for name in OPTIONS})


def recipe_options(only: str = "") -> Callable:
    """Adds --recipe and --set; `choose_recipe` takes their values.

    Args:
        only: when the options apply, such as "Without MODEL: "; empty for always.
    """
    recipe = click.option(
        "--recipe",
        "recipe_name",
        metavar="NAME",
        callback=expand_home,
        help=f"{only}{'the' if only else 'The'} model and its training; `mixer recipes` lists "
        f"them. Or a file such as best_recipe.json of `mixer sweep`. {_DEFAULT_RECIPE}",
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


def quarantine_option(command: Callable) -> Callable:
    """Adds --max-quarantined, whose value is a `QuarantineLimit` or None."""

    def parse(context, option, text):
        try:
            return None if text is None else QuarantineLimit.parse(text)
        except ValueError as error:
            raise click.UsageError(str(error), context) from None

    return click.option(
        quarantine_limit.OPTION,
        callback=parse,
        metavar=quarantine_limit.METAVAR,
        help=quarantine_limit.HELP,
    )(command)


def output_option(text: str) -> Callable:
    """Adds --output.

    Args:
        text: what is written there, and the default.
    """
    return click.option("--output", metavar="PATH", callback=expand_home, help=text)


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
        name: value of --recipe; None for the default of the source.
        source: value of --source.
        overrides: values of --set.
        **shortcuts: values of `shortcut_options`.

    Raises:
        ValueError: the recipe is unknown, or an override is not possible.
    """
    from mixer_tf import recipes
    from mixer_tf.recipes.shortcuts import override

    recipe = recipes.get(name) if name else recipes.default_for(source)
    return override(recipe, overrides, shortcuts)
