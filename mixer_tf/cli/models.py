# SPDX-License-Identifier: Apache-2.0
"""`mixer models`: the table of models, without TensorFlow."""

from __future__ import annotations

import click

from mixer_tf.cli.command import Command
from mixer_tf.cli.tables import format_table

_HEADER = (
    *("name", "patch", "blocks", "hidden_dim", "tokens_mlp_dim", "channels_mlp_dim"),
    *("parameters", "multiply-adds"),
)


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--image-size", default=224, show_default=True, help="Side of the input in pixels.")
@click.option("--num-classes", default=1000, show_default=True, help="Outputs of the head.")
def models(names: tuple[str, ...], image_size: int, num_classes: int) -> None:
    """Shows models with their size and what they cost.

    Without NAME: the paper's seven. The sizes s, b, l and h take any patch size that divides the
    image size.

    \b
    Examples:
      mixer models
      mixer models mixer_s8 mixer_s4 --image-size=32 --num-classes=10
    """
    from mixer_tf.models import presets

    rows = []
    for name in names or presets.list_models():
        found = presets.describe(name, image_size=image_size, num_classes=num_classes)
        config = found.config
        rows.append(
            [
                *(found.name, str(config.patch_size), str(config.num_blocks)),
                *(str(config.hidden_dim), str(config.tokens_mlp_dim)),
                *(str(config.channels_mlp_dim), f"{found.parameters:,}"),
                f"{found.multiply_adds / 1e9:.2f} G",
            ]
        )
    click.echo(format_table(_HEADER, rows))
