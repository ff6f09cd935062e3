# SPDX-License-Identifier: Apache-2.0
"""What all sub-commands share: a quiet console, and a clear message for every error."""

from __future__ import annotations

import pathlib
import traceback

import click

from mixer_tf import console

_VERBOSE = "mixer_tf.verbose"
_PROJECT = pathlib.Path(__file__).parents[1]

# Raised with a message for the user; any other exception is a fault of ours.
_MEANT_FOR_USERS = (ValueError, ArithmeticError, OSError, RuntimeError)


def _set_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[_VERBOSE] = value or context.meta.get(_VERBOSE, False)


verbose_option = click.option(
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_set_verbose,
    help="Show what the libraries say, and where an error came from.",
)


class Command(click.Command):
    """A sub-command with `--verbose`; without it, libraries are silent and errors are one line."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        verbose_option(self)

    def invoke(self, context: click.Context):
        if context.meta[_VERBOSE]:
            return super().invoke(context)
        console.quiet()
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except click.Abort:
            raise
        except Exception as error:
            raise click.ClickException(clear_message(error)) from error


def clear_message(error: Exception) -> str:
    """Says what is wrong, and what to do where that is not obvious.

    Of what a library says the first line; our own messages are whole, such as the list of all
    weights that do not fit.
    """
    text = str(error).strip()
    if not _is_ours(error):
        text = text.partition("\n")[0]
    if isinstance(error, ImportError):
        return f"{text}. `mixer doctor` says how to install what is missing."
    if isinstance(error, _MEANT_FOR_USERS) and text:
        return text
    return f"{type(error).__name__}: {text} (the option --verbose shows where it came from)"


def _is_ours(error: Exception) -> bool:
    """Whether the exception was raised by code of this project."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return False
    frame, _ = frames[-1]
    return pathlib.Path(frame.f_code.co_filename).is_relative_to(_PROJECT)
