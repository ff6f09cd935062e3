# SPDX-License-Identifier: Apache-2.0
"""`mixer convert`: a checkpoint in the format of the authors or of timm."""

from __future__ import annotations

import click

from mixer_tf.cli.command import Command


@click.command(cls=Command)
@click.argument("source")
@click.argument("target")
def convert(source: str, target: str) -> None:
    """Converts the weights of a Mixer.

    SOURCE is an .npz file of the authors, a .safetensors or .pth file of timm, or the folder of a
    model that mixer_tf has exported. TARGET ends in .npz for the authors' format, or in
    .safetensors for timm's. Code inside these files is never run.

    \b
    Examples:
      mixer convert timm-mixer.pth mixer.npz
      mixer convert pets-model pets.safetensors
    """
    from mixer_tf import checkpoints

    checkpoints.convert(source, target)
    click.echo(f"weights  {target}")
