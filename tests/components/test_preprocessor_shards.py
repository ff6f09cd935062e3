# SPDX-License-Identifier: Apache-2.0
"""The shards of Preprocessor keep their size where images become PNG files."""

import pathlib
import tracemalloc

import apache_beam as beam
import numpy as np
import pytest

from components.image_example_gen.transforms import WriteExamples
from components.preprocessor.transforms import Preprocess
from mixer_tf.datasets import examples, preparation, shards
from mixer_tf.datasets.global_shuffle import Shuffle
from mixer_tf.datasets.sources import opening
from mixer_tf.features import ImageRecord

# As of photographs: smooth, with some noise.
_SIDE, _NUMBER = 64, 40


@pytest.fixture
def photos(tmp_path, encode) -> pathlib.Path:
    """WebP images, which are several times larger as PNG."""
    rng = np.random.default_rng(0)
    for index in range(_NUMBER):
        y, x = np.mgrid[:_SIDE, :_SIDE]
        waves = np.stack([128 + 90 * np.sin((x + y * (c + 1)) / (9 + index)) for c in range(3)], -1)
        pixels = np.clip(waves + rng.normal(0, 3, waves.shape), 0, 255).astype(np.uint8)
        path = tmp_path / "photos" / ("cat", "dog")[index % 2] / f"{index:02}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(pixels, "WEBP", quality=70))
    return tmp_path / "photos"


def preprocess(source: str, folder: pathlib.Path, **options) -> tuple[list[str], list[str]]:
    """Returns the paths of the training shards, before and after."""
    opened = opening.open_source(source)
    with beam.Pipeline() as pipeline:
        _ = pipeline | WriteExamples(opened, str(folder / "in"))
    with beam.Pipeline() as pipeline:
        _ = pipeline | Preprocess(
            *(str(folder / "in"), opened.splits, str(folder / "out")),
            str(folder / "quarantine"),
            **options,
        )
    return tuple(examples.list_shards(str(folder / name), "train") for name in ("in", "out"))


def sizes(paths: list[str]) -> list[int]:
    return [pathlib.Path(path).stat().st_size for path in paths]


def test_shards_of_images_that_become_png_files_are_within_the_limit(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_BYTES", 60_000)
    before, after = preprocess(f"folder:{photos}", tmp_path)
    assert sum(sizes(after)) > 3 * sum(sizes(before))
    assert sum(sizes(before)) < 60_000 < sum(sizes(after))
    assert max(sizes(after)) < 1.5 * 60_000  # An image is assigned to a shard by a hash.
    assert sum(map(preparation.measure_shard, before)) == pytest.approx(
        sum(map(preparation.measure_shard, after)), rel=0.5
    )


def test_a_given_number_of_shards_is_kept(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_BYTES", 60_000)
    assert len(preprocess(f"folder:{photos}", tmp_path, num_shards=2)[1]) == 2


def test_only_formats_that_become_png_count_by_their_pixels(tmp_path):
    def record(image_format: str, width: int, height: int) -> bytes:
        return ImageRecord(b"x" * 100, image_format, 0, "cat", "id", width, height).to_example()

    def measure(example: bytes, shorter_side: int | None = None) -> int:
        examples.write_shard([example], str(tmp_path), "train", 0, 1)
        (path,) = examples.list_shards(str(tmp_path), "train")
        return preparation.measure_shard(path, shorter_side) - len(example) + 100

    assert measure(record("JPEG", 40, 30)) == measure(record("PNG", 40, 30)) == 100
    assert measure(record("WEBP", 40, 30)) == 2 * 40 * 30
    assert measure(record("GIF", 5, 4)) == 100
    assert measure(record("WEBP", 40, 30), 15) == 2 * 20 * 15
    assert measure(record("WEBP", 40, 30), 60) == 2 * 40 * 30
    assert measure(record("WEBP", 100_000, 100_000)) == 100  # is not used


def test_a_shard_is_in_memory_once_while_it_is_written(tmp_path):
    rng = np.random.default_rng(0)
    shuffle = Shuffle(str(tmp_path), "train", num_pieces=10, num_shards=1)
    for piece in range(10):
        shuffle.write_piece([rng.bytes(50_000) for _ in range(20)], piece)
    tracemalloc.start()
    try:
        assert shuffle.write_shard(0) == 200
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (path,) = examples.list_shards(str(tmp_path), "train")
    assert peak < 1.4 * pathlib.Path(path).stat().st_size
