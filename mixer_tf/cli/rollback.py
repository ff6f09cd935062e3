# SPDX-License-Identifier: Apache-2.0
"""`mixer rollback`: takes the newest version of a model out of service."""

from __future__ import annotations

import click

from mixer_tf.cli.command import Command


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--to",
    type=int,
    metavar="VERSION",
    help="The version to return to. Default: the one before the newest.",
)
def rollback(model: str, to: int | None) -> None:
    """Returns to an earlier version of a model.

    MODEL is a folder of versions, or the root of a pipeline. Every version after the one to return
    to is renamed to .withdrawn-VERSION, which model servers ignore: they serve the newest one that
    is left. Nothing is deleted; rename the folder back to undo it.

    \b
    Examples:
      mixer rollback runs/pets
      mixer rollback /models/pets --to=1732000000
    """
    from mixer_tf.serving import locations, versions

    folder = locations.resolve_versions_folder(model)
    withdrawn = versions.withdraw(folder, to)
    click.echo(f"withdrawn  {', '.join(map(str, withdrawn)) or 'none'}")
    click.echo(f"serving    {locations.list_versions(folder)[-1]} in {folder}")
