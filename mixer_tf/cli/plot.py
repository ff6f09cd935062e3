# SPDX-License-Identifier: Apache-2.0
"""`mixer plot`: pictures of a model."""

from __future__ import annotations

import os

import click

from mixer_tf.cli.command import Command


@click.group()
def plot() -> None:
    """Draws pictures of a model.

    \b
    Example:
      mixer plot filters pets-model
    """


class Numbers(click.ParamType):
    """Whole numbers from 0 with a separator between them, such as "0,1,2" or "14x14"."""

    def __init__(self, separator: str, example: str, count: int | None = None):
        self.name, self._separator = example, separator
        self._example, self._count = example, count

    def convert(self, value, param, ctx) -> tuple[int, ...]:
        words = value.split(self._separator)
        if not all(word.strip().isdecimal() for word in words) or self._count not in (
            None,
            len(words),
        ):
            self.fail(f"must look like {self._example}; got {value}.", param, ctx)
        return tuple(map(int, words))


@plot.command(cls=Command)
@click.argument("model")
@click.option("--output", metavar="PATH", help="Folder of the files. Default: filters-MODEL.")
@click.option(
    "--blocks",
    type=Numbers(",", "0,1,2"),
    metavar="NUMBERS",
    help="Which blocks, counted from 0, such as 0,1,2. Default: all.",
)
@click.option(
    "--grid",
    type=Numbers("x", "7x14", count=2),
    metavar="ROWSxCOLUMNS",
    help="Patches of an image that is no square.",
)
def filters(model, output, blocks, grid) -> None:
    """Draws what the weights of a Mixer look for in an image.

    MODEL is what `mixer train` or the pipeline has written, or a checkpoint: .npz, .safetensors or
    .pth. Nothing that a file holds is run.

    stem.png shows the filters of the stem in colour. token_mixing_0.png shows the hidden units of
    the first block's token-mixing MLP: one square for each unit, one pixel for each patch, grey
    where the unit does not look. The smoothest units come first, and beside each the one that is
    most nearly its inverse. The paper's models look at large areas, in pairs of opposite sign.

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
        click.echo(f"picture  {path}")
