# SPDX-License-Identifier: Apache-2.0
"""`mixer plot`: plots of a model."""

from __future__ import annotations

import os

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command


@click.group()
def plot() -> None:
    """Plots a model.

    \b
    Example:
      mixer plot filters pets-model
    """


class Numbers(click.ParamType):
    """Integers from 0 with a separator between them, such as "0,1,2" or "14x14"."""

    def __init__(self, separator: str, example: str, count: int | None = None):
        self.name, self._separator = example, separator
        self._example, self._count = example, count

    def convert(self, value, param, ctx) -> tuple[int, ...]:
        parts = value.split(self._separator)
        is_complete = self._count in (None, len(parts))
        if not is_complete or not all(part.strip().isdecimal() for part in parts):
            self.fail(f"must look like {self._example}; got {value}.", param, ctx)
        return tuple(map(int, parts))


@plot.command(cls=Command)
@click.argument("model")
@options.output_option("Folder for the plots. Default: filters-MODEL.")
@click.option(
    "--blocks",
    type=Numbers(",", "0,1,2"),
    metavar="NUMBERS",
    help="Blocks to plot, counted from 0, such as 0,1,2. Default: all.",
)
@click.option(
    "--grid",
    type=Numbers("x", "7x14", count=2),
    metavar="ROWSxCOLUMNS",
    help="Grid of patches, for images that are not square.",
)
def filters(model, output, blocks, grid) -> None:
    """Plots the filters of a Mixer.

    MODEL is the output of `mixer train` or of the pipeline, or a checkpoint: .npz, .safetensors or
    .pth. Code inside these files is never run.

    stem.png shows the filters of the stem in color. token_mixing_0.png shows the hidden units of
    the first block's token-mixing MLP: one square for each unit, one pixel for each patch, gray
    for a weight of zero. The smoothest units come first, each followed by the unit that is closest
    to its inverse. The paper's models have filters of large areas, in pairs of opposite sign.

    \b
    Examples:
      mixer plot filters pets-model
      mixer plot filters imagenet21k-Mixer-B_16.npz --blocks=0,1,2 --output=figure-4
    """
    from mixer_tf.visualization import filter_plots

    model = os.path.expanduser(model)
    name = os.path.splitext(os.path.basename(os.path.normpath(model)))[0]
    folder = os.path.expanduser(output or f"filters-{name}")
    for path in filter_plots.write_filters(model, folder, blocks, grid):
        click.echo(f"plot  {path}")
