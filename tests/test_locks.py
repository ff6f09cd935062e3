# SPDX-License-Identifier: Apache-2.0
"""Two runs on one folder: the second one is told which process uses it, and since when."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mixer_tf import locks

ADVICE = "Wait for it."
HOLD = (
    "import os, sys, time\n"
    "from mixer_tf import locks\n"
    "with locks.exclusive(sys.argv[1], ''):\n"
    "    if len(sys.argv) > 2 and os.fork() == 0:\n"
    "        os.close(1)\n"
    "        time.sleep(60)\n"
    "        os._exit(0)\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


def hold(folder, *arguments) -> subprocess.Popen:
    """Starts a process that holds the lock, and waits until it does."""
    command = [sys.executable, "-c", HOLD, str(folder), *arguments]
    group = {"start_new_session": True}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **group)
    assert process.stdout.readline() == "held\n"
    return process


def end_group(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_second_process_is_told_who_uses_the_folder(tmp_path):
    started = time.strftime("%H:%M")
    process = hold(tmp_path / "root")
    try:
        with (
            pytest.raises(ValueError, match="must be used by one run at a time") as caught,
            locks.exclusive(str(tmp_path / "root"), ADVICE),
        ):
            pass
    finally:
        end_group(process)
    since = {started, time.strftime("%H:%M")}
    expected = [f"it is in use by process {process.pid} since {when}. {ADVICE}" for when in since]
    assert any(str(caught.value).endswith(text) for text in expected)


@pytest.mark.parametrize("arguments", [(), ("with a child",)])
def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, arguments):
    process = hold(tmp_path, *arguments)
    process.kill()
    process.wait()
    assert os.listdir(tmp_path) == [locks.FILE_NAME]
    try:
        with locks.exclusive(str(tmp_path), ADVICE):
            assert f'"process": {os.getpid()}' in (tmp_path / locks.FILE_NAME).read_text()
    finally:
        if arguments:  # the child still runs
            end_group(process)
    assert os.listdir(tmp_path) == []


def test_another_thread_is_refused_and_the_same_one_is_not(tmp_path):
    refused = []

    def try_it():
        try:
            with locks.exclusive(str(tmp_path), ADVICE):
                refused.append("")
        except ValueError as error:
            refused.append(str(error))

    with locks.exclusive(str(tmp_path), ADVICE), locks.exclusive(f"{tmp_path}/.", ADVICE):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert "in use by another thread" in refused[0]
    try_it()
    assert refused[1] == ""


def test_only_an_empty_folder_that_was_created_is_removed(tmp_path):
    new, kept, old = tmp_path / "a" / "b", tmp_path / "kept", tmp_path / "old"
    old.mkdir()
    for folder in (new, kept, old):
        with locks.exclusive(str(folder), ADVICE):
            if folder == kept:
                (folder / "file").touch()
    assert sorted(os.listdir(tmp_path)) == ["kept", "old"]
    assert os.listdir(kept) == ["file"]


def test_a_folder_that_was_moved_meanwhile_is_no_error(tmp_path):
    with locks.exclusive(str(tmp_path / "root"), ADVICE):
        os.rename(tmp_path / "root", tmp_path / "root2")
    with locks.exclusive(str(tmp_path / "root2"), ADVICE):
        pass
