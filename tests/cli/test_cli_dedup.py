# SPDX-License-Identifier: Apache-2.0
"""`mixer dedup` on real folders: what it prints and writes, how it is stopped, and its errors."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image


def run(mixer, *arguments):
    return mixer("dedup", "--processes=1", *arguments)


def random_image(seed: int) -> Image.Image:
    """A smooth random image of 48x48 pixels that depends on the seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory) -> pathlib.Path:
    """Twelve training images; two are copies of test images, one of them with another label.

    A third one has a copy in another folder.
    """
    root = tmp_path_factory.mktemp("leaky")
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(10 if split == "train" else 4):
            name = root / "own" / split / ("cat", "dog")[index % 2] / f"{index}.png"
            name.parent.mkdir(parents=True, exist_ok=True)
            random_image(first + index).save(name)
    for index in (0, 1):
        random_image(200 + index).save(root / f"own/train/cat/of-{index}.jpg", quality=80)
    (root / "web" / "thing").mkdir(parents=True)
    for index in range(3):
        random_image(4 + 50 * index).save(root / f"web/thing/{index}.jpg", quality=80)
    return root


def test_a_comparison_prints_a_table_and_where_the_files_are(mixer, leaky, tmp_path):
    arguments = (f"--train=folder:{leaky / 'own'}", f"--against=web=folder:{leaky / 'web'}")
    result = run(mixer, *arguments, f"--out={tmp_path / 'out'}")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["eval", "4", "0", "0.00%", "0"] in lines
    assert ["test", "4", "1", "25.00%", "1"] in lines
    assert ["web", "3", "1", "33.33%", "1"] in lines
    assert ["train", "12"] in lines
    assert "2 training images that are duplicates are listed in removed.txt\n" in result.output
    assert "note: images that resemble one of another class: 1; one of both labels" in result.output
    assert f"removed  {tmp_path}/out/removed.txt\n" in result.output
    assert f"--source=folder:{leaky}/own --exclude={tmp_path}/out/removed.txt\n" in result.output
    listed = (tmp_path / "out/removed.txt").read_text().splitlines()[2:]
    assert listed == ["train/cat/4.png", "train/cat/of-0.jpg"]
    assert "<html" in (tmp_path / "out/report.html").read_text()
    again = run(mixer, *arguments, f"--out={tmp_path / 'out'}")
    assert (again.exit_code, again.output) == (0, result.output)
    again = run(mixer, *arguments, f"--out={tmp_path / 'out'}", "--data-dir=my tfds")
    assert f"--exclude={tmp_path}/out/removed.txt '--data-dir=my tfds'\n" in again.output


def test_images_without_classes_are_compared(mixer, leaky, tmp_path):
    against = f"--against=photos=images:{leaky / 'web'}"
    result = run(mixer, f"--train=folder:{leaky / 'own'}", against, f"--out={tmp_path / 'out'}")
    assert result.exit_code == 0, result.output
    assert ["photos", "3", "1", "33.33%", "1"] in [row.split() for row in result.output.split("\n")]
    assert "train/cat/4.png,photos,thing/0.jpg," in (tmp_path / "out/pairs.csv").read_text()


def test_no_duplicates_is_said_plainly(mixer, image_folder, tmp_path):
    result = run(mixer, f"--train=folder:{image_folder}", "--within", f"--out={tmp_path / 'out'}")
    assert result.exit_code == 0, result.output
    assert "\nno duplicates were found\n" in result.output
    assert "next:" not in result.output
    assert (tmp_path / "out/pairs.csv").read_text().count("\n") == 1


def test_an_evaluation_split_without_an_image_of_its_own_is_said(mixer, leaky, tmp_path):
    shutil.copytree(leaky / "own", tmp_path / "own")
    shutil.rmtree(tmp_path / "own/val")
    shutil.copytree(tmp_path / "own/test", tmp_path / "own/val")
    result = run(mixer, f"--train=folder:{tmp_path / 'own'}", f"--out={tmp_path / 'out'}")
    assert result.exit_code == 0, result.output
    assert "\n1 training images and 4 eval images that are duplicates are listed" in result.output
    assert "note: all 4 eval images are duplicates of test images, so removed.txt leaves none" in (
        result.output
    )
    exclude = f"--exclude={tmp_path / 'out/removed.txt'}"
    result = mixer("train", f"--source=folder:{tmp_path / 'own'}", exclude)
    assert "must leave at least one image in each split" in result.output
    assert "it lists all 4 of eval. Take some lines out, or use another" in result.output


def test_another_comparison_needs_another_folder_or_replaces_it(mixer, leaky, tmp_path):
    arguments = (f"--train=folder:{leaky / 'own'}", f"--out={tmp_path / 'out'}")
    assert run(mixer, *arguments).exit_code == 0
    rows = (tmp_path / "out/pairs.csv").read_text()
    for changed, message in (
        (["--threshold=0.95"], "(--threshold was 0.75, now 0.95)"),
        (["--within"], "(--within was false, now true)"),
        ([f"--against=web=folder:{leaky / 'web'}"], "(--against was none, now web=folder:"),
        (["--ignore-splits", "--within"], "--ignore-splits was false, now true"),
    ):
        result = run(mixer, *arguments, *changed)
        assert result.exit_code == 1 and result.output.count("\n") == 1
        assert message in result.output and "Name another --out, or use --replace" in result.output
        assert (tmp_path / "out/pairs.csv").read_text() == rows
    (tmp_path / "out" / "my notes.txt").touch()
    result = run(mixer, *arguments, "--mode=report", "--replace")
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "out/removed.txt").exists()
    assert (tmp_path / "out" / "my notes.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train=pets"], "a source must be one of digits, "),
        (["--train=folder:/not/there"], "/not/there"),
        (["--train=digits", "--against=folder:/x"], "must be NAME=SOURCE, .* Use --against=x=fol"),
        (["--train=digits", "--against=web"], "must be NAME=SOURCE, .* Such as --against=test="),
        (["--train=digits", "--against=a=pets"], "a source must be one of digits, "),
        (["--train=digits", "--against=test=folder:/x"], "must not be 'test', which is a split"),
        (["--train=digits", "--against=a=digits"], "another source than --train; got digits as b"),
        (
            ["--train=digits", "--against=a=folder:/x", "--against=a=folder:/y"],
            "must be used once; got 'a' for folder:/x and for folder:/y",
        ),
        (
            ["--train=digits", "--against=a=folder:/x", "--against=b=folder:/x/"],
            "each source must be given once in --against; got folder:/x/ as 'a' and as 'b'",
        ),
        (["--train=digits", "--threshold=0.1"], "threshold must be between 0.2 and 1; got"),
        (["--train=digits", "--keep-duplicates=/no"], "to keep must be an existing file; got '/no"),
        (["--train=digits", "--ignore-splits"], "must be compared with something; .* or --within"),
    ],
)
def test_a_wrong_option_is_one_clear_line(mixer, tmp_path, arguments, message):
    result = run(mixer, f"--out={tmp_path / 'out'}", *arguments)
    assert result.exit_code == 1
    assert re.search(message, result.output), result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_not_touched(mixer, tmp_path):
    (tmp_path / "thesis.tex").touch()
    result = run(mixer, "--train=digits", f"--out={tmp_path}")
    assert result.exit_code == 1
    assert "holds other files, such as 'thesis.tex'" in result.output
    assert os.listdir(tmp_path) == ["thesis.tex"]
    result = run(mixer, "--train=digits", f"--out={tmp_path / 'thesis.tex'}")
    assert "the output must be a folder" in result.output
    result = run(mixer, "--train=digits", "--out=gs://bucket/out")
    assert "--out must be a folder of this machine" in result.output


@pytest.mark.parametrize("listed", ["{}/own/train/cat/of-0.jpg", "train/cat/of-0.jpg"])
def test_images_that_are_kept_are_not_listed(mixer, leaky, tmp_path, listed):
    (tmp_path / "keep.txt").write_text(f"{listed.format(leaky)}\ntrain/cat/no.png\n")
    arguments = (f"--train=folder:{leaky / 'own'}", f"--keep-duplicates={tmp_path / 'keep.txt'}")
    result = run(mixer, *arguments, f"--out={tmp_path / 'out'}")
    assert result.exit_code == 0, result.output
    assert "note: kept, because --keep-duplicates lists them: 1\n" in result.output
    assert "that name no duplicate: 1, such as 'train/cat/no.png'\n" in result.output
    assert (tmp_path / "out/removed.txt").read_text().count("\n") == 2
    assert "train/cat/of-0.jpg" in (tmp_path / "out/pairs.csv").read_text()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow),
    ],
)
def test_a_signal_stops_all_processes_and_the_same_command_resumes(
    leaky, tmp_path, number, code, make_pixels, encode
):
    folder = tmp_path / "large"
    for index in range(600):
        path = folder / ("cat", "dog")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(make_pixels(index, 40, 40), "PNG"))
    command = [sys.executable, "-m", "mixer_tf.cli", "dedup", f"--train=folder:{folder}"]
    command += ["--processes=2", f"--out={tmp_path / 'out'}"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(command, start_new_session=True, **pipes)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/work/*/[0-9a-f]*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    if number == signal.SIGINT:  # As a terminal does: to each process of the group.
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code
    by = {signal.SIGINT: "Stopped", signal.SIGTERM: "Stopped by SIGTERM"}.get(number)
    stopped = f"\n{by}; the same command resumes the comparison.\n" if by else ""
    assert (output, errors) == ("", stopped)
    _require_no_process(process.pid)
    assert not (tmp_path / "out/pairs.csv").exists()
    done = set(tmp_path.glob("out/work/*/[0-9a-f]*.npz"))
    times = {path: path.stat().st_mtime_ns for path in done}
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert (tmp_path / "out/pairs.csv").exists()
    assert {path: path.stat().st_mtime_ns for path in done} == times
    shutil.rmtree(tmp_path / "out")


def _require_no_process(group: int) -> None:
    """Waits until no process of the group is left."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("a worker process outlived the command")
