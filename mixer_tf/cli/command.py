# SPDX-License-Identifier: Apache-2.0
"""The base of all sub-commands: a quiet console, and a clear message for every error."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import click

from mixer_tf import console
from mixer_tf.messages import clear_message, require_no_credentials
from mixer_tf.training import interruption

_VERBOSE = "mixer_tf.verbose"
# Parameters of commands that name what is written.
_OUTPUTS = ("output", "target", "out", "csv_file", "html_file")


class Stopped(click.ClickException):
    """A signal has stopped the command.

    Args:
        message: what to show.
        exit_code: as in a shell, 128 + the number of the signal.
    """

    INTERRUPTED = 128 + signal.SIGINT

    def __init__(self, message: str, exit_code: int = INTERRUPTED):
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file=None) -> None:
        click.echo(self.format_message(), file=file, err=file is None)


@contextlib.contextmanager
def resumable(work: str) -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM end the command with a line that says how to resume.

    Args:
        work: what the same command resumes, such as "the study".
    """
    try:
        with interruption.sigterm_raises():
            yield
    except KeyboardInterrupt as stop:
        code = getattr(stop, "exit_code", Stopped.INTERRUPTED)
        by = " by SIGTERM" if code == interruption.TERMINATED else ""
        raise Stopped(f"\nStopped{by}; the same command resumes {work}.", code) from None


def _set_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[_VERBOSE] = value or context.meta.get(_VERBOSE, False)


verbose_option = click.option(
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_set_verbose,
    help="Show the log messages of libraries and the traceback of an error.",
)


class Command(click.Command):
    """A sub-command with `--verbose`; without it, libraries are silent and errors are one line.

    URLs with credentials are refused in all arguments and options, which are shown and stored.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        verbose_option(self)

    def invoke(self, context: click.Context):
        try:
            return self._invoke(context)
        except KeyboardInterrupt:
            raise Stopped("\nStopped.") from None

    def _invoke(self, context: click.Context):
        if context.meta[_VERBOSE]:
            return self._invoke_checked(context)
        console.silence_libraries()
        try:
            return self._invoke_checked(context)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except click.Abort:
            raise
        except Exception as error:
            folder = next(filter(None, map(context.params.get, _OUTPUTS)), None)
            raise click.ClickException(clear_message(error, folder)) from error

    def _invoke_checked(self, context: click.Context):
        titles = {param.name: param.opts[0].upper() for param in self.params}
        titles |= {p.name: p.opts[0] for p in self.params if isinstance(p, click.Option)}
        require_no_credentials({titles[name]: value for name, value in context.params.items()})
        return super().invoke(context)
