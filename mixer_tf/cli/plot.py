# SPDX-License-Identifier: Apache-2.0
"""`mixer plot`: plots of a model and of augmented images."""

from __future__ import annotations

import os

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.messages import visible

_MAX_PLOTTED = 50


@click.group()
def plot() -> None:
    """Plots a model, or augmented training images.

    \b
    Examples:
      mixer plot filters pets-model
      mixer plot filters pets-model other-model
      mixer plot augmentation --source=folder:pets
    """


class Numbers(click.ParamType):
    """Integers with a separator between them, such as "0,1,2" or "14x14"."""

    def __init__(self, separator: str, example: str, count: int | None = None, minimum: int = 0):
        self.name, self._separator = example, separator
        self._example, self._count, self._minimum = example, count, minimum

    def convert(self, value, param, ctx) -> tuple[int, ...]:
        parts = value.split(self._separator)
        is_complete = self._count in (None, len(parts))
        if not is_complete or not all(part.strip().isdecimal() for part in parts):
            self.fail(f"must look like {self._example}; got {value}.", param, ctx)
        numbers = tuple(map(int, parts))
        if min(numbers) < self._minimum:
            self.fail(f"must be numbers of at least {self._minimum}; got {value}.", param, ctx)
        return numbers


@plot.command(cls=Command)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@options.output_option("Folder for the plots. Default: filters-MODEL.")
@click.option(
    "--layers",
    metavar="NAMES",
    help="Layers to plot, separated by commas; * stands for any text. Default: all but "
    "token_mixing_*_outputs.",
)
@click.option(
    "--blocks",
    type=Numbers(",", "0,1,2"),
    metavar="NUMBERS",
    help="Blocks to plot, counted from 0, such as 0,1,2. Default: all.",
)
@click.option(
    "--grid",
    type=Numbers("x", "7x14", count=2, minimum=1),
    metavar="ROWSxCOLUMNS",
    help="Grid of patches, for images that are not square.",
)
def filters(models, output, layers, blocks, grid) -> None:
    """Plots the filters of a model, or those of several models side by side.

    MODEL is the output of `mixer train` or of the pipeline, a checkpoint (.npz, .safetensors or
    .pth), or the name of a published one, such as mixer_b16_imagenet21k, which is downloaded. Code
    inside these files is never run.

    stem.png shows the filters of the stem in color. token_mixing_0.png shows the hidden units of
    the first block's token-mixing MLP: one square for each unit, one pixel for each patch, gray
    for a weight of zero; token_mixing_0_outputs.png their output weights. The smoothest units come
    first, each followed by the unit that is closest to its inverse. The paper's models have filters
    of large areas, in pairs of opposite sign (Figures 4 to 6). A ViT has a stem and a
    position_embedding, a BiT a root.

    filters.html is a page with all plots and a table, filters.csv has the frequency and the partner
    of each filter.

    \b
    Examples:
      mixer plot filters pets-model
      mixer plot filters imagenet21k-Mixer-B_16.npz --blocks=0,1,2 --output=figure-4
      mixer plot filters pets-model other-model --layers=stem,token_mixing_0
    """
    from mixer_tf.visualization import filter_atlas

    if len(set(models)) < len(models):
        raise click.UsageError("each MODEL must be given once.")
    checkpoints = {model: _checkpoint(model) for model in models}
    folder = output or f"filters-{'-and-'.join(map(_short_name, models))}"
    patterns = [name.strip() for name in layers.split(",")] if layers else None
    for path in filter_atlas.write_atlas(checkpoints, folder, patterns, blocks, grid):
        click.echo(f"plot  {visible(path)}")


def _checkpoint(model: str) -> str:
    from mixer_tf.checkpoints.published import KNOWN

    path = os.path.expanduser(model)
    if model in KNOWN and not os.path.exists(path):
        from mixer_tf.checkpoints.downloading import fetch

        return fetch(model)
    return path


def _short_name(model: str) -> str:
    return os.path.splitext(os.path.basename(os.path.normpath(os.path.expanduser(model))))[0]


@plot.command(cls=Command)
@options.source_options
@options.recipe_options()
@options.output_option("A PNG file. Default: augmentation-NAME.png.")
@click.option(
    "--images",
    "count",
    default=6,
    show_default=True,
    type=click.IntRange(1, _MAX_PLOTTED),
    help="Number of images, one row each.",
)
@click.option(
    "--draws",
    default=8,
    show_default=True,
    type=click.IntRange(1, _MAX_PLOTTED),
    help="How often each image is augmented, one column each.",
)
def augmentation(source, data_dir, recipe_name, overrides, output, count, draws) -> None:
    """Plots training images as the recipe augments them.

    Each row begins with the image as it is cropped for evaluation. With mixup or CutMix, the images
    of one column are mixed as those of a batch: each with the one above it, the first with the
    last.

    \b
    Examples:
      mixer plot augmentation --source=folder:pets
      mixer plot augmentation --source=folder:pets --recipe=photos --set data.color_jitter=0.4
      mixer plot augmentation --source=digits --images=10 --output=digits.png
    """
    recipe = options.choose_recipe(recipe_name, source, overrides)
    if output and not output.lower().endswith(".png"):
        raise click.UsageError(f"--output must end in .png; got {output}.")
    from mixer_tf.datasets.sources import opening
    from mixer_tf.training import augmentation_plot
    from mixer_tf.visualization.filter_plots import write_png

    opened = opening.open_source(source, data_dir)
    path = output or f"augmentation-{opened.name}.png"
    records = augmentation_plot.sample_records(opened, count)
    images = augmentation_plot.augmented_images(records, recipe, draws)
    write_png(augmentation_plot.plot_augmentation(*images), path)
    for number, record in enumerate(records, 1):
        click.echo(f"row {number:2}  {visible(record.class_name)}: {visible(record.source)}")
    if recipe.data.mixes_images and len(records) == 1:
        click.echo("note: mixup and CutMix need at least two images")
    click.echo(f"plot    {path}")
