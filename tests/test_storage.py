# SPDX-License-Identifier: Apache-2.0
"""The same rules for local and remote files; "ram://" is TensorFlow's in-memory file system."""

import os
import pathlib
import subprocess
import sys
import uuid

import pytest

from mixer_tf import storage


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path) -> str:
    """A new folder on this machine or in TensorFlow's in-memory file system."""
    if request.param == "local":
        return str(tmp_path)
    path = f"ram://storage/{uuid.uuid4().hex}"
    storage.make_folder(path)
    return path


def test_written_text_is_read_back(folder):
    path = f"{folder}/été – 猫.json"
    storage.write_text(path, "ünï\n猫")
    assert storage.read_text(path) == "ünï\n猫"
    assert storage.file_size(path) == len("ünï\n猫".encode())
    assert storage.read_bytes(path, 2) == "ü".encode()


def test_a_complete_file_replaces_the_old_one(folder):
    path = f"{folder}/a.txt"
    storage.write_text(path, "old")
    with storage.replacing(path) as partial:
        with storage.gfile().GFile(partial, "w") as file:
            file.write("new")
        assert storage.read_text(path) == "old"
    assert storage.read_text(path) == "new"
    assert storage.find_files(f"{folder}/*") == [path]


@pytest.mark.parametrize("old", ["old", None])
def test_a_failed_block_leaves_the_old_file_and_no_partial_file(folder, old):
    path = f"{folder}/a.txt"
    if old:
        storage.write_text(path, old)
    with pytest.raises(KeyboardInterrupt), storage.replacing(path) as partial:
        with storage.gfile().GFile(partial, "w") as file:
            file.write("half of the new one")
        raise KeyboardInterrupt
    assert storage.find_files(f"{folder}/*") == ([path] if old else [])
    assert not old or storage.read_text(path) == old


def test_a_block_that_writes_nothing_fails_and_leaves_the_old_file(tmp_path):
    path = str(tmp_path / "a.txt")
    storage.write_text(path, "old")
    with pytest.raises(FileNotFoundError), storage.replacing(path):
        pass
    assert storage.read_text(path) == "old"


def test_partial_files_match_no_pattern_for_shards(tmp_path):
    with storage.replacing(str(tmp_path / "data_tfrecord-00000-of-00001.gz")) as partial:
        storage.write_bytes(partial, b"half")
        assert storage.find_files(str(tmp_path / "data_tfrecord-*.gz")) == []


def test_of_two_writers_at_the_same_time_each_writes_a_whole_file(tmp_path):
    """As on an engine that takes a worker for dead: the second writes the shard again."""
    path = str(tmp_path / "shard")
    for first, second in (("long" * 1000, "short"), ("short", "long" * 1000)):
        with storage.replacing(path, concurrent=True) as of_first:
            pathlib.Path(of_first).write_text(first[:3])
            with storage.replacing(path, concurrent=True) as of_second:
                pathlib.Path(of_second).write_text(second)
            assert storage.read_text(path) == second
            pathlib.Path(of_first).write_text(first)
        assert storage.read_text(path) == first
    assert os.listdir(tmp_path) == ["shard"]


def test_two_processes_write_the_same_text_file(tmp_path):
    """As two attempts of one work item: neither fails, and the file is always a whole one."""
    path = tmp_path / "report.json"
    write = (
        "import sys; from mixer_tf import storage\n"
        "print('ready', flush=True); input()\n"
        "for number in range(300): storage.write_text(sys.argv[1], sys.argv[2] * 100_000)\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [
        subprocess.Popen([sys.executable, "-c", write, str(path), letter], **pipes)
        for letter in "ab"
    ]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    seen = set()
    while any(process.poll() is None for process in processes):
        if path.exists():
            text = path.read_text("utf-8")
            assert text == text[0] * 100_000
            seen.add(text[0])
    assert [process.wait() for process in processes] == [0, 0]
    for process in processes:
        process.stdin.close()
        process.stdout.close()
    assert seen == {"a", "b"}
    assert os.listdir(tmp_path) == ["report.json"]


def test_what_a_killed_writer_leaves_is_recognized(tmp_path):
    write = (
        "import os, sys; from mixer_tf import storage\n"
        "with storage.open_new(sys.argv[1]) as file: os.kill(os.getpid(), 9)\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", write, str(tmp_path / "state.json")])
    left = os.listdir(tmp_path)
    assert len(left) == 2 and all(storage.is_partial(name, "state.json") for name in left)
    assert not any(storage.is_partial(name, "other.json") for name in left)
    assert not storage.is_partial("state.json", "state.json")
    assert storage.is_partial("partial-state.json", "state.json")  # of a single writer


def test_a_copy_replaces_the_old_file(folder):
    storage.write_bytes(f"{folder}/a", b"\x00\xff")
    storage.write_bytes(f"{folder}/b", b"old")
    storage.copy_file(f"{folder}/a", f"{folder}/b")
    assert storage.read_bytes(f"{folder}/b") == b"\x00\xff"


def test_folders_are_created_and_removed(folder):
    storage.make_folder(f"{folder}/a/b")
    storage.make_folder(f"{folder}/a/b")
    storage.write_text(f"{folder}/a/b/c", "c")
    assert storage.is_folder(f"{folder}/a/b")
    assert storage.exists(f"{folder}/a/b/c")
    assert not storage.is_folder(f"{folder}/a/b/c")
    storage.remove_folder(f"{folder}/a")
    storage.remove_folder(f"{folder}/a")
    assert not storage.exists(f"{folder}/a/b/c")


def test_names_and_text_with_surrogate_escapes_keep_their_bytes(tmp_path):
    name = os.fsdecode(b"f\xff.txt")
    path = os.path.join(str(tmp_path), name)
    storage.write_text(path, f"path: {name}")
    assert os.listdir(os.fsencode(tmp_path)) == [b"f\xff.txt"]
    assert storage.read_bytes(path) == b"path: f\xff.txt"
    assert storage.read_text(path) == f"path: {name}"


def test_two_stars_find_files_in_nested_folders(tmp_path):
    for name in ("b/c/1.txt", "a/2.txt", "3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        storage.write_text(str(tmp_path / name), "")
    found = storage.find_files(f"{tmp_path}/**/*.txt")
    assert found == [str(tmp_path / name) for name in ("3.txt", "a/2.txt", "b/c/1.txt")]


def test_a_missing_file_is_an_error(folder):
    for read in (storage.read_text, storage.read_bytes, storage.file_size):
        with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*none.txt'"):
            read(f"{folder}/none.txt")


def test_local_files_need_no_tensorflow(tmp_path):
    code = (
        "import sys; from mixer_tf import storage\n"
        f"path = {str(tmp_path / 'a.txt')!r}\n"
        "storage.write_text(path, 'a'); storage.copy_file(path, path + '2')\n"
        "assert storage.read_text(path + '2') == 'a' and storage.exists(path)\n"
        "assert storage.find_files(path + '*') == [path, path + '2']\n"
        "storage.remove_folder(path + '3')\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("character", [*"[]*?\\"])
def test_a_path_that_tensorflow_reads_as_a_pattern_is_refused(character):
    with pytest.raises(ValueError) as caught:
        storage.require_literal(f"/data/a{character}b", "--output")
    assert f"got {character} in /data/a{character}b" in str(caught.value)
    assert str(caught.value).startswith("--output must have none of [ ] * ? \\ in its path")


def test_a_path_that_is_not_utf8_is_refused():
    with pytest.raises(ValueError, match="must be valid UTF-8"):
        storage.require_literal("a\udcff", "--output")


@pytest.mark.parametrize(
    "path", ["a b", "a#b", "a%20b", "a\nb", "a{b,c}", "été", "a'b\"", "gs://a"]
)
def test_other_paths_are_not_patterns(path):
    storage.require_literal(path, "--output")
