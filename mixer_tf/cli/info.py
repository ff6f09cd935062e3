# SPDX-License-Identifier: Apache-2.0
"""`mixer info`: the size and cost of one model. No TensorFlow."""

from __future__ import annotations

import collections

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.console import format_table


@click.command(cls=Command)
@click.argument("name")
@options.size_options
def info(name: str, image_size: int, num_classes: int) -> None:
    """Shows a model's layers, their cost, and what the paper reports about the model.

    NAME is one that `mixer models` lists, or a size with another patch size, such as mixer_s8.

    Multiply-adds are for the forward pass of one image. The memory for activations is a formula's
    estimate for one image in float32, of what TensorFlow's gradients read; a device that fuses
    operations needs less. `mixer plan` says what a whole training needs.

    \b
    Examples:
      mixer info mixer_b16
      mixer info mixer_s4 --image-size=32 --num-classes=10
    """
    from mixer_tf.models import registry

    found = registry.describe(name, image_size=image_size, num_classes=num_classes)
    height, width = found.config.image_size
    click.echo(f"{found.name}: images of {height}x{width} pixels, {num_classes:,} classes\n")
    click.echo(_layer_table(found))
    click.echo(_memory(found))
    click.echo(_paper(found.name))


def _layer_table(found) -> str:
    """Equal layers of all blocks share a line, at the position of the first."""
    from mixer_tf.models import costs

    counts = collections.Counter(costs.layers(found.config))
    rows = [
        [
            *(layer.name, "x".join(map(str, layer.output)), str(count)),
            *(f"{count * layer.parameters:,}", _millions(count * layer.multiply_adds)),
        ]
        for layer, count in counts.items()
    ]
    rows.append(["total", "", "", f"{found.parameters:,}", _millions(found.multiply_adds)])
    return format_table(["layer", "output", "times", "parameters", "multiply-adds"], rows, left=2)


def _memory(found) -> str:
    from mixer_tf.models import costs

    weights = costs.weight_bytes(found.config)
    rows = [
        ["weights", _megabytes(weights), ""],
        ["training with Adam", _megabytes(4 * weights), "  weights, gradients, two moments"],
        *[
            [f"one image, {what}", f"about {_megabytes(count)}", "  estimate of activations"]
            for what, count in (
                ("inference", costs.inference_activation_bytes(found.config)),
                ("training", costs.training_activation_bytes(found.config)),
            )
        ],
    ]
    return "\n" + "\n".join(
        f"{name:<20}{size:>16}{remark}"
        for name, size, remark in [["memory, float32", "", ""], *rows]
    )


def _paper(name: str) -> str:
    from mixer_tf.studies import paper_results

    lines = []
    if name in paper_results.MILLION_PARAMETERS:
        millions = paper_results.MILLION_PARAMETERS[name]
        lines.append(f"\npaper, Table 1: {millions} million parameters, without the head")
    rows = [
        [
            *(result.pretraining, str(result.table), str(result.epochs or "")),
            str(result.image_size),
            *(f"{result.imagenet:.2f}", _or_blank(result.real), _or_blank(result.five_tasks)),
            _or_blank(result.vtab),
            *(f"{result.images_per_second:,}", f"{1000 * result.kilo_core_days:,.0f}"),
        ]
        for result in paper_results.results_of(name)
    ]
    if not rows:
        return "\n".join([*lines, "\nThe paper reports no results for this model."])
    header = ["pre-training", "table", "epochs", "pixels", "ImageNet", "ReaL", "5 tasks"]
    header += ["VTAB-1k", "images/s/core", "core-days"]
    lines.append("\npaper: top-1 in percent after fine-tuning; speed and cost on TPUv3")
    return "\n".join([*lines, format_table(header, rows)])


def _or_blank(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _millions(count: int) -> str:
    if not count:
        return ""
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.2f} M"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
