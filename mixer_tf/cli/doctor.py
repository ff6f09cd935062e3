# SPDX-License-Identifier: Apache-2.0
"""`mixer doctor`: problems of the installation, each with its fix."""

from __future__ import annotations

import click

from mixer_tf.cli.command import Command


@click.command(cls=Command)
def doctor() -> None:
    """Checks Python, packages, devices, memory, disk and Docker.

    Each finding comes with its fix. The exit code is 1 if there is a problem; a note means that
    something optional is missing.

    \b
    Example:
      mixer doctor
    """
    from mixer_tf.doctor import Level, examine

    colors = {Level.OK: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}
    problems = 0
    for finding in examine():
        problems += finding.level is Level.PROBLEM
        word = click.style(f"{finding.level.value:<8}", fg=colors[finding.level])
        click.echo(f"{word} {finding.text}")
        if finding.fix:
            click.echo(f"{'':<8}   fix: {finding.fix}")
    if problems:
        raise click.ClickException(f"{problems} problem{'s'[: problems > 1]} found.")
    click.echo("\nEverything that is required is installed.")
