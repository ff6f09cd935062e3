# SPDX-License-Identifier: Apache-2.0
"""What all sub-commands share: lists of numbers, and how a signal ends a command."""

import signal

import click
import pytest
from click.testing import CliRunner

from mixer_tf.cli import main
from mixer_tf.cli.command import _OUTPUTS, Stopped, resumable
from mixer_tf.cli.options import numbers_of
from mixer_tf.training.interruption import TrainingStopped


@pytest.mark.parametrize(
    ("stop", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Stopped; the same command resumes the study."),
        (
            TrainingStopped(signal.SIGTERM, " after step 3 of 9"),
            143,
            "Stopped by SIGTERM; the same command resumes the study.",
        ),
    ],
)
def test_a_signal_says_how_to_resume(stop, code, message):
    with pytest.raises(Stopped) as stopped, resumable("the study"):
        raise stop
    assert stopped.value.exit_code == code
    assert stopped.value.format_message().strip() == message


def parameters(group: click.Group) -> list[click.Parameter]:
    """The parameters of all sub-commands."""
    context = click.Context(group)
    found = [group.get_command(context, name) for name in group.list_commands(context)]
    return [
        parameter
        for each in found
        for parameter in (parameters(each) if isinstance(each, click.Group) else each.params)
    ]


def test_an_error_names_a_path_that_is_written_only():
    outputs = [each for each in parameters(main) if each.name in _OUTPUTS]
    assert {each.name for each in outputs} == set(_OUTPUTS)
    paths = {"PATH", "DIR", "FILE", "FILE.csv", "FILE.html", "OUTPUT", "TARGET"}
    assert {each.metavar or each.name.upper() for each in outputs} <= paths


@click.command()
@click.option("--sizes", default="1,8", callback=numbers_of(minimum=1))
@click.option("--rates", callback=numbers_of(minimum=0, kind=float))
def numbers(sizes, rates) -> None:
    click.echo(f"{sizes} {rates}")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "(1, 8) None\n"),
        (["--sizes=32, 4"], "(32, 4) None\n"),
        (["--rates=0,1e-3"], "(1, 8) (0.0, 0.001)\n"),
    ],
)
def test_numbers(arguments, shown):
    assert CliRunner().invoke(numbers, arguments).output == shown


@pytest.mark.parametrize(
    "argument",
    ["--sizes=", "--sizes=1,x", "--sizes=0", "--sizes=1,,2", "--sizes=4,4", "--rates=nan,1"],
)
def test_wrong_numbers(argument):
    result = CliRunner().invoke(numbers, [argument])
    assert result.exit_code == 2
    option, text = argument.split("=")
    minimum = 1 if option == "--sizes" else 0
    assert f"must be different numbers of at least {minimum}, separated by" in result.output
    assert repr(text) in result.output


@pytest.mark.parametrize(
    "line",
    [
        "bench serving MODEL --output",
        "dedup --train=digits --against=test=digits --out=DIR --keep-duplicates",
        "evaluate MODEL --source=digits --csv",
        "evaluate MODEL --source=digits --html",
        "fewshot MODEL --source=digits --cache",
        "plan --output",
        "predict MODEL IMAGE --output",
        "serve MODEL --batching-parameters-file",
        "train --source=digits --exclude",
        "train --source=digits --output",
        "train --source=digits --plan",
        "train --source=digits --recipe",
    ],
)
def test_a_tilde_after_the_equals_sign_is_the_home_folder(line, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    command, words = main, f"{line}=~/file".split()
    while isinstance(command, click.Group):
        name, *words = words
        command = command.commands[name]
    assert "/home/me/file" in command.make_context(name, words).params.values()
