# SPDX-License-Identifier: Apache-2.0
"""`mixer upscale`: an exported model for larger images."""

from __future__ import annotations

import os

import click

from mixer_tf import storage
from mixer_tf.cli.command import Command


@click.command(cls=Command)
@click.argument("model")
@click.argument("output")
@click.option("--factor", type=click.IntRange(min=1), help="Integer factor for height and width.")
@click.option("--image-size", type=click.IntRange(min=1), help="Or the new side in pixels.")
@click.option("--interpolate", is_flag=True, help="Allow sizes that are not an integer multiple.")
def upscale(model, output, factor, image_size, interpolate) -> None:
    """Converts a trained model to larger images, as in the paper's supplement C.

    MODEL is the output of `mixer train` or of the pipeline. For an image, the new model, in
    OUTPUT/serving/1, returns the mean of what MODEL returns for its parts; fine-tune it.

    With --interpolate the weights are resized as images if the new size is not an integer multiple;
    this is not in the paper, and the predictions of the new model differ.

    \b
    Examples:
      mixer upscale pets-model larger-pets-model --factor=2
      mixer upscale pets-model larger-pets-model --image-size=448
    """
    from mixer_tf.export import loading
    from mixer_tf.serving import locations

    storage.require_literal(output, "OUTPUT")
    target = os.path.join(os.path.expanduser(output), locations.SERVING, "1")
    if storage.exists(target):
        raise click.ClickException(f"OUTPUT must be new; {target} exists already.")
    recipe = loading.upscale_export(
        model, target, factor, image_size=image_size, interpolate=interpolate
    )
    click.echo(f"images   {recipe.model.image_size}x{recipe.model.image_size} pixels")
    click.echo(f"model    {target}")
