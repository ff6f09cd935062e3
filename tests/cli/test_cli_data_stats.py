# SPDX-License-Identifier: Apache-2.0
"""`mixer data stats` on folders of images."""

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets.source_statistics import measure_source
from mixer_tf.datasets.sources import opening


def numbers(output: str, name: str) -> list[str]:
    """The cells of a row of the table, one for each split."""
    (line,) = [line for line in output.splitlines() if line.startswith(name)]
    return line.split()[1:]


@pytest.fixture(scope="module")
def split_folder(image_folder, tmp_path_factory):
    """40 training images and 20 test images, which are grayscale."""
    path = tmp_path_factory.mktemp("split")
    shutil.copytree(image_folder, path / "train")
    for name in ("cat", "dog"):
        (path / "test" / name).mkdir(parents=True)
        for file in sorted((image_folder / name).iterdir())[:10]:
            Image.open(file).convert("L").save(path / "test" / name / file.name)
    return path


def test_the_numbers_are_those_of_the_pixels(mixer, split_folder, tmp_path):
    result = mixer("data", "stats", f"folder:{split_folder}", f"--out={tmp_path / 'new'}")
    assert result.exit_code == 0, result.output
    train = [
        record
        for shard in opening.open_source(f"folder:{split_folder}").shards_of("train")
        for record in opening.open_source(f"folder:{split_folder}").read(shard)
    ]
    pixels = np.array([np.asarray(Image.open(io.BytesIO(each.encoded))) for each in train]) / 255
    counts = [int(each) for each in numbers(result.output, "images")]
    assert sum(counts[:-1]) == 40 and counts[-1] == 20  # an eval split is taken from training
    (red,) = [line for line in result.output.splitlines() if line.startswith("red ")]
    assert f"{pixels[..., 0].mean():.4f} ± {pixels[..., 0].std():.4f}" in red
    found = json.loads((tmp_path / "new" / "statistics.json").read_text("utf-8"))
    assert found["splits"]["test"]["grayscale"] == 20
    assert f"page     {tmp_path / 'new' / 'statistics.html'}" in result.output
    assert (tmp_path / "new" / "statistics.html").exists()
    (line,) = [line for line in result.output.splitlines() if "grayscale images" in line]
    assert line.startswith("anomaly  train and test differ in the share of grayscale images: 0.0% ")


def test_anomalies_end_the_command_with_an_error_on_request(mixer, split_folder):
    source = f"folder:{split_folder}"
    assert mixer("data", "stats", source, "--fail-on-anomalies").exit_code == 1
    result = mixer("data", "stats", source, "--fail-on-anomalies", "--max-skew=1")
    assert result.exit_code == 0 and result.output.endswith("no anomalies\n")


def test_unreadable_images_are_counted_and_named(mixer, bad_folder, tmp_path):
    result = mixer("data", "stats", f"folder:{bad_folder.path}", "--max-skew=1")
    assert result.exit_code == 0, result.output
    assert sum(map(int, numbers(result.output, "unreadable"))) == len(bad_folder.bad)
    assert "anomaly  " in result.output and "train images cannot be decoded (" in result.output


def test_several_processes_find_the_same(bad_folder, tmp_path):
    source = opening.open_source(f"folder:{bad_folder.path}")
    seen = []
    one, two = (
        measure_source(source, processes, lambda done, total: seen.append((done, total)))
        for processes in (1, 2)
    )
    assert one.groups.keys() == two.groups.keys()
    for key, group in one.groups.items():
        assert group.to_dict() == two.groups[key].to_dict()
    work = sum(len(source.shards_of(split)) for split in source.splits)
    assert seen == [(number, work) for number in range(1, work + 1)] * 2


def kill_process(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_one_clear_error(image_folder):
    source = opening.open_source(f"folder:{image_folder}")
    with pytest.raises(RuntimeError, match="one was killed, .* Use fewer --processes"):
        measure_source(dataclasses.replace(source, reader=kill_process), 2)


def test_ctrl_c_ends_all_processes_with_one_line(tmp_path):
    """The images would take minutes."""
    rng = np.random.default_rng(0)
    (tmp_path / "cat").mkdir()
    image = Image.fromarray(rng.integers(0, 256, (3000, 3000, 3), dtype=np.uint8))
    image.save(tmp_path / "cat" / "0.png", compress_level=0)
    for index in range(1, 400):
        os.link(tmp_path / "cat" / "0.png", tmp_path / "cat" / f"{index}.png")
    command = [sys.executable, "-m", "mixer_tf.cli", "data", "stats", f"folder:{tmp_path}"]
    process = subprocess.Popen(
        [*command, "--processes=2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a group of its own, as of a command in a terminal
    )
    assert process.stdout.readline().startswith("note: the only class")  # the source is open
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)  # which ends when no process has the pipe any more
    assert process.returncode == 130
    assert output.strip() == "Stopped."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder:/nowhere"], "existing folder; got '/nowhere'"),
        (["digits", "--max-skew=2"], "2.0 is not in the range 0<=x<=1"),
        (["digits", "--max-skew=nan"], "skew must be a share or a difference from 0 to 1; got nan"),
        (["digits", "--out=s3://me:secret@host/x"], "must be without user name, password"),
    ],
)
def test_bad_input_is_one_clear_error(mixer, arguments, message):
    result = mixer("data", "stats", *arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert "secret" not in result.output


def test_a_source_without_a_readable_image_is_measured_too(mixer, unusable_folder, tmp_path):
    result = mixer("data", "stats", f"folder:{unusable_folder}", f"--out={tmp_path}")
    assert result.exit_code == 0, result.output
    assert numbers(result.output, "images")[0] == "0"


def test_csv_columns_can_be_stated(mixer, image_folder, tmp_path):
    file = io.StringIO()
    for name in ("cat", "dog"):
        for index in range(20):
            file.write(f"x,{image_folder / name / f'{index:03d}.png'},{name}\n")
    (tmp_path / "list.csv").write_text(file.getvalue())
    result = mixer("data", "stats", f"csv:{tmp_path / 'list.csv'}", "--columns=2,3")
    assert result.exit_code == 0, result.output
    assert sum(map(int, numbers(result.output, "images"))) == 40
