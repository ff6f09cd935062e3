# SPDX-License-Identifier: Apache-2.0
"""A full disk and the like are one line, whichever library met them."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
import tensorflow as tf

from mixer_tf import messages, system_errors

FULL = "/dev/full"  # every write fails with ENOSPC
TEXT = {
    errno.EFBIG: "larger than this process may write; raise the limit with `ulimit -f`",
    errno.EROFS: "is read-only; make it writable, or name another folder",
    errno.EACCES: "no permission for ",
    errno.EPERM: "no permission for ",
    errno.EDQUOT: "the disk quota for ",
    errno.EMFILE: "open files; raise it with `ulimit -n`, then run the same command again",
    errno.ENFILE: "open files; raise it with `ulimit -n`, then run the same command again",
    errno.EIO: "cannot be read or written; check the disk",
    errno.ESTALE: "no longer reachable; mount its file system again",
    errno.ENOENT: "does not exist. If it was removed or unmounted meanwhile, restore it",
}
AGAIN = "Make room, then run the same command again."


def raised(error: BaseException, during: BaseException | None = None) -> BaseException:
    """The exception as it is after it was raised, while another one was handled or not."""
    try:
        try:
            if during:
                raise during
        finally:
            raise error
    except type(error) as found:
        return found


def library_error(error: BaseException) -> BaseException:
    """An exception that code outside of the project raises."""
    code = compile("raise error", "/library.py", "exec")
    try:
        exec(code, {"error": error})
    except type(error) as found:
        found.__traceback__ = found.__traceback__.tb_next
        return found


def errors_of_a_full_disk() -> list[Exception]:
    text = "No space left on device"
    return [
        OSError(errno.ENOSPC, text),
        RuntimeError(f"OSError: [Errno 28] {text} [while running 'Write/Map']"),
        tf.errors.ResourceExhaustedError(None, None, f"/a/b/part-0; {text}"),
        tf.errors.UnknownError(None, None, f"{{{{function_node Save}}}} /a/b; {text} [Op:SaveV2]"),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("UPDATE `Execution` SET `x` = 1; errors: database or disk is full"),
    ]


@pytest.mark.parametrize("error", errors_of_a_full_disk(), ids=lambda error: type(error).__name__)
def test_a_full_disk_is_one_line_for_every_library(tmp_path, error):
    root = str(tmp_path / "root")
    message = messages.clear_message(library_error(error), root)
    assert message.startswith("the disk of ") and " became full; " in message
    assert message.endswith(f" MB are free now. {AGAIN}")
    assert "\n" not in message and "{{" not in message and "UPDATE" not in message


def test_the_folder_of_the_command_is_named_with_its_free_space(tmp_path, monkeypatch):
    usage = type(shutil.disk_usage("/"))(8 * 2**20, 7 * 2**20, 2**19)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    file = tmp_path / "root/Trainer/model/variables.data"
    error = tf.errors.UnknownError(None, None, f"{file}; No space left on device")
    message = system_errors.explain(error, str(tmp_path / "root"))
    assert message == (
        f"the disk of {tmp_path}/root became full; 0.5 MB of 8.0 MB are free now. {AGAIN}"
    )
    assert f"the disk of {tmp_path} became full" in system_errors.explain(error, "/elsewhere")


def test_a_full_folder_for_temporary_files_is_named(tmp_path, monkeypatch):
    usage = type(shutil.disk_usage("/"))
    free = {str(tmp_path): 9, "/full": 0}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 0, free[path]))
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/full")
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(range(10)))
    message = system_errors.explain(OSError(errno.ENOSPC, "full"), str(tmp_path))
    assert message.startswith("the disk of /full became full")


@pytest.mark.parametrize("number", TEXT)
def test_each_error_of_the_system_says_what_to_do(tmp_path, number):
    path = str(tmp_path / "a.txt")
    message = messages.clear_message(OSError(number, os.strerror(number), path))
    assert TEXT[number] in message and "\n" not in message
    if number not in (errno.EMFILE, errno.ENFILE):
        assert str(tmp_path) in message
    by_tensorflow = tf.errors.UnknownError(None, None, f"{path}; {os.strerror(number)}")
    assert messages.clear_message(library_error(by_tensorflow)) == message


def test_the_reason_is_found_behind_what_followed(tmp_path):
    """TFX fails again when it wants to note a failed step in a database on the same disk."""
    first = OSError(errno.ENOSPC, "No space left on device")
    followed = raised(KeyError("execution"), during=first)
    assert system_errors.explain(followed, str(tmp_path)).startswith("the disk of ")
    handled = raised(KeyError("execution"), during=FileNotFoundError(errno.ENOENT, "x", "/x"))
    assert system_errors.explain(handled) is None


def test_other_errors_are_not_explained():
    for error in (
        ValueError("a.png: No space left on device"),
        ImportError("libcuda.so: No such file or directory"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        tf.errors.PermissionDeniedError(None, None, "gs://b: Permission denied"),
        RuntimeError("Permission denied"),
        OSError("is a directory"),
    ):
        assert system_errors.explain(error) is None


def test_a_complete_message_is_kept_except_for_a_full_disk():
    missing = ValueError("the list must exist; got a.csv.")
    missing.__cause__ = OSError(errno.ENOENT, "No such file or directory", "a.csv")
    assert system_errors.explain(missing, is_complete=True) is None
    missing.__cause__ = OSError(errno.ENOSPC, "No space left on device", "/a.csv")
    assert "became full" in system_errors.explain(missing, is_complete=True)


def test_a_real_full_device_and_real_libraries(tmp_path):
    with pytest.raises(OSError) as python, open(FULL, "wb", buffering=0) as file:
        file.write(b"x")
    with pytest.raises(tf.errors.OpError) as tensorflow, tf.io.gfile.GFile(FULL, "w") as file:
        file.write("x" * 100_000)
        file.flush()
    for caught in (python, tensorflow):
        assert system_errors.explain(caught.value, str(tmp_path)).endswith(AGAIN)


def test_mixer_shows_a_limit_of_the_file_size(tmp_path):
    """`ulimit -f` of one block: the first file that is written fails."""
    program = (
        "import resource, signal, sys, click\n"
        "from mixer_tf.cli.command import Command\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "@click.command(cls=Command)\n"
        "@click.option('--output')\n"
        "def main(output):\n"
        "    from mixer_tf import storage\n"
        "    storage.write_bytes(output, bytes(9999))\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"--output={tmp_path / 'a'}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Error: a file below {tmp_path / 'a'} is larger than")
    assert not list(tmp_path.iterdir())
