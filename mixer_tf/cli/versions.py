# SPDX-License-Identifier: Apache-2.0
"""`mixer versions`: the pushed versions of a model, and where each comes from."""

from __future__ import annotations

import os

import click

from mixer_tf.cli.command import Command
from mixer_tf.console import format_table
from mixer_tf.messages import visible


@click.command(cls=Command)
@click.argument("model")
def versions(model: str) -> None:
    """Lists the versions of a model, the newest last.

    MODEL is a folder of versions, or the root of a pipeline. assets.extra/lineage.json of a version
    has the whole history: fingerprints, options, all metrics, ids in ML Metadata.

    \b
    Examples:
      mixer versions runs/pets
    """
    from mixer_tf.serving import lineage, locations

    folder = locations.resolve_versions_folder(model)
    numbers = locations.list_versions(folder)
    rows = [
        [str(number), *_history(lineage.read(os.path.join(folder, str(number))))]
        for number in numbers
    ]
    header = ["version", "pushed", "recipe", "source", "train images", "top-1"]
    click.echo(format_table(header, rows, left=4))
    hint = "; `mixer rollback` returns to an earlier one" if len(numbers) > 1 else ""
    click.echo(f"model servers take {numbers[-1]}{hint}")


def _history(history) -> list[str]:
    if history is None:
        return ["–"] * 5
    accuracy = history.evaluation.get("accuracy")
    images = history.images.get("train")
    return [
        history.pushed_at.removesuffix("+00:00").replace("T", " ") + " UTC",
        visible(history.recipe),
        visible(history.source),
        "–" if images is None else f"{images:,}",
        "–" if accuracy is None else f"{accuracy:.4f}",
    ]
