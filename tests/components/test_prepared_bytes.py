# SPDX-License-Identifier: Apache-2.0
"""ImageExampleGen and Preprocessor write the same bytes whatever the number of workers is."""

import pathlib

import apache_beam as beam
import pytest

from components.image_example_gen.transforms import WriteExamples
from components.preprocessor.transforms import Preprocess
from mixer_tf.datasets import shards
from mixer_tf.datasets.sources import opening


def prepare(spec: str, folder: pathlib.Path, mode: str, workers: int) -> dict[str, bytes]:
    """Path → content of every file that both steps write."""
    args = [f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"]
    source = opening.open_source(spec)
    with beam.Pipeline(argv=args) as pipeline:
        _ = pipeline | WriteExamples(source, str(folder / "examples"))
    with beam.Pipeline(argv=args) as pipeline:
        _ = pipeline | Preprocess(
            *(str(folder / "examples"), source.splits, str(folder / "ready")),
            str(folder / "quarantine"),
        )
    assert not list(folder.rglob("partial-*"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_three_threads_write_the_bytes_of_one(bad_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_IMAGES", 5)
    spec = f"folder:{bad_folder.path}"
    one = prepare(spec, tmp_path / "1", "in_memory", 1)
    assert sum("Split-train" in path for path in one) >= 4
    assert one == prepare(spec, tmp_path / "3", "multi_threading", 3)


@pytest.mark.slow
def test_three_processes_write_the_bytes_of_one(many_images, tmp_path):
    spec = f"folder:{many_images}"
    one = prepare(spec, tmp_path / "1", "in_memory", 1)
    assert sum("examples/Split-train" in path for path in one) >= 4
    assert one == prepare(spec, tmp_path / "3", "multi_processing", 3)


@pytest.fixture
def many_images(tmp_path, encode) -> pathlib.Path:
    """600 images of two classes."""
    import numpy as np

    values = np.random.default_rng(0).integers(0, 255, (600, 8, 8, 3), np.uint8)
    for index, pixels in enumerate(values):
        folder = tmp_path / "images" / ("cat", "dog")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.png").write_bytes(encode(pixels, "PNG"))
    return tmp_path / "images"
