# SPDX-License-Identifier: Apache-2.0
"""The command `mixer`: quick help with examples, and one line for each error."""

import resource
import subprocess
import sys

import pytest

import mixer_tf
from mixer_tf.checkpoints.layouts import mixer as mixer_layout
from mixer_tf.checkpoints.matching import check_fit
from mixer_tf.messages import clear_message

COMMANDS = (
    *("models", "info", "recipes", "train", "evaluate", "predict"),
    *("check", "serve", "bench", "convert", "upscale", "plot", "study", "doctor", "dedup"),
)
GROUPS = {"bench": "serving", "plot": "filters", "study": "permutation"}


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mixer_tf.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_takes_half_a_second_and_lists_every_command():
    before = processor_seconds()
    result = run("--help")
    assert processor_seconds() - before < 0.5
    assert result.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(mixer, command):
    words = [command, *([GROUPS[command]] if command in GROUPS else [])]
    result = mixer(*words, "--help")
    assert result.exit_code == 0
    assert f"\n    mixer {' '.join(words)}" in result.output


def test_tables_and_help_import_no_tensorflow():
    code = (
        "import sys; from click.testing import CliRunner; from mixer_tf.cli import main\n"
        "for words in (['--help'], ['models'], ['recipes', 'photos'], ['train', '--help'],\n"
        "              ['dedup', '--help'], ['predict', '--help'],\n"
        "              ['study', 'permutation', '--help']):\n"
        "    result = CliRunner().invoke(main, words)\n"
        "    assert result.exit_code == 0, result.output\n"
        "print([name for name in ('tensorflow', 'numpy', 'tfx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_version_is_that_of_the_package(mixer):
    assert mixer("--version").output == f"mixer_tf {mixer_tf.__version__}\n"


def test_an_error_is_one_line_and_exit_code_1(mixer):
    result = mixer("models", "mixer_x99")
    assert result.exit_code == 1
    assert result.output.startswith("Error: unknown model 'mixer_x99'.")
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--verbose", "models", "x"), ("models", "x", "--verbose")])
def test_verbose_shows_the_traceback_of_an_error(mixer, arguments):
    assert isinstance(mixer(*arguments).exception, ValueError)


def test_a_list_in_our_own_message_is_complete():
    form = dict(head=mixer_layout.HEAD, repeated=mixer_layout.REPEATED, hint=lambda *_: "Do this.")
    with pytest.raises(ValueError) as raised:
        check_fit({"a": (1,), "b": (2,)}, {}, "It must fit.", **form)
    lines = "It must fit.\n  missing in the checkpoint:\n    a\n    b\nDo this."
    assert clear_message(raised.value) == lines


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("logits"), "KeyError: 'logits' (the option --verbose shows where"),
        (ImportError("No module named 'x'"), "No module named 'x'. `mixer doctor` says how to"),
        (ValueError("must be 1\nsecond line"), "must be 1\n"),
    ],
    ids=["bug of ours", "missing package", "two lines"],
)
def test_any_error_is_one_line(mixer, monkeypatch, error, line):
    def fail(family):
        raise error

    monkeypatch.setattr("mixer_tf.models.registry.list_models", fail)
    result = mixer("models")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {line}")
    assert result.output.count("\n") == 1


def test_nothing_but_the_table_reaches_the_console():
    result = run("models")
    assert result.stderr == ""
    assert result.stdout.startswith("name ")


def test_a_closed_pipe_is_not_an_error():
    command = f"{sys.executable} -m mixer_tf.cli recipes photos | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Error" not in done.stderr
