# SPDX-License-Identifier: Apache-2.0
"""Commands that a user can paste, and libraries that are silent."""

import os
import subprocess
import sys

import pytest

from mixer_tf import console

FOLDER = os.path.dirname(sys.executable)


def test_a_command_is_a_path_until_the_environment_is_activated(monkeypatch):
    monkeypatch.chdir(os.path.dirname(os.path.dirname(FOLDER)))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = os.path.join(os.path.basename(os.path.dirname(FOLDER)), "bin", "mixer")
    assert console.command_line("mixer", "predict", "my model") == f"{path} predict 'my model'"
    monkeypatch.setenv("PATH", f"{FOLDER}:/usr/bin:/bin")
    assert console.command_line("mixer", "predict", "my model") == "mixer predict 'my model'"


def test_the_traceback_of_an_error_in_beam_is_not_logged():
    """Beam logs the error that it raises; in a process of its own, for the levels are global."""
    program = (
        "from mixer_tf import console\n"
        "console.silence_libraries()\n"
        "import apache_beam as beam\n"
        "try:\n"
        "    with beam.Pipeline() as pipeline:\n"
        "        pipeline | beam.Create([0]) | beam.Map(lambda number: 1 / number)\n"
        "except ZeroDivisionError:\n"
        "    print('raised')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("raised\n", "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (75, "1:15"), (3600, "1:00:00"), (7325, "2:02:05")]
)
def test_duration(seconds, text):
    assert console.format_duration(seconds) == text


def test_time_left_follows_the_parts_that_are_finished(monkeypatch, capsys):
    """Elsewhere than on a terminal there is a line a minute; another title starts anew."""
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress_with_time_left() as show:
        for title in ("reading", "comparing"):
            for done in range(1, 5):
                show(title, done, 5)
                now[0] += 40
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "reading … 60%  1:20 left",
        "comparing … 20%",
        "comparing … 60%  1:20 left",
    ]


def test_time_left_of_a_resumed_training_follows_from_the_steps_of_this_run(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress_with_time_left() as show:
        for done in (501, 561):
            now[0] += 60
            show("training", done, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["training … 50%", "training … 56%  7:19 left"]


def test_progress_is_shown_while_a_thread_captures_what_libraries_write():
    program = (
        "import threading\nfrom mixer_tf import console, library_messages\n"
        "console.silence_libraries()\nconsole._LOG_SECONDS = 0.0\n"
        "captured, started, shown = [], threading.Event(), threading.Event()\n"
        "def decode():\n    with library_messages.capture() as found:\n"
        "        started.set()\n        shown.wait(60)\n    captured.extend(found)\n"
        "thread = threading.Thread(target=decode)\nthread.start()\nstarted.wait(60)\n"
        "with console.progress_with_time_left() as show:\n    show('images', 64, 128)\n"
        "shown.set()\nthread.join()\nprint(captured)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
    assert done.stderr.startswith("images … 50%")


def test_an_activity_is_shown_on_a_terminal_only(capsys, monkeypatch):
    with console.activity("exporting"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with console.activity("exporting"):
        assert capsys.readouterr().err == "exporting …"
    assert capsys.readouterr().err == "\r\x1b[K"
