# SPDX-License-Identifier: Apache-2.0
"""Time per pair of images for a large training set, and what a larger one would take.

    python -m benchmarks.deduplication.scale --against=100000 --train=1000000

The images are synthetic: random fields with the spectrum of natural images. All images of the other
sets are compared, block by block as in the pipeline, with a sample of the training images, because
the time is linear in both numbers. With --within, blocks of the training set are compared with one
another. With --beam, all training images are compared with one another by the step of the
pipeline, in one process, and the bytes that it sends and reads are counted:

    python -m benchmarks.deduplication.scale --beam --train=8000 --block=512 --small
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import resource
import tempfile
import time
from collections.abc import Iterator

import apache_beam as beam
import click
import numpy as np

from components.deduplicator.comparison import FindUniformSets, FindWithin
from mixer_tf import console
from mixer_tf.deduplication import blocks
from mixer_tf.deduplication.blocks import BLOCK_SIZE, find_in_block
from mixer_tf.deduplication.fingerprints import (
    Fingerprints,
    ImageId,
    Reading,
    concatenate,
    make_fingerprints,
)
from mixer_tf.deduplication.views import STORED_SIZE

_BATCH_SIZE = 256
_LARGE_SIDE, _SMALL_SIDE = 300, 32
_JFT = 300_000_000


@click.command()
@click.option("--train", default=1_000_000, show_default=True, help="Training images.")
@click.option("--against", default=100_000, show_default=True, help="Images of the other sets.")
@click.option("--sample", default=1024, show_default=True, help="Training images to compare.")
@click.option("--within", is_flag=True, help="Also duplicates within the training set.")
@click.option("--small", is_flag=True, help="Images of 32x32 pixels, which have one view.")
@click.option("--beam", "in_beam", is_flag=True, help="Only within training, in Beam.")
@click.option("--block", default=BLOCK_SIZE, show_default=True, help="Images of one, with --beam.")
@click.option("--cores", default=1000, show_default=True, help="Cores of the extrapolation.")
def main(
    train: int,
    against: int,
    sample: int,
    within: bool,
    small: bool,
    in_beam: bool,
    block: int,
    cores: int,
) -> None:
    """Prints the times. The process uses as many threads as NumPy's library does."""
    side = _SMALL_SIDE if small else _LARGE_SIDE
    if in_beam:
        blocks.BLOCK_SIZE = block
        click.echo(_run_in_beam(train, side))
        return
    queries = _make_images("train", range(sample), side)
    rows = [_measure("against other sets", queries, _blocks(against, side), against, train, cores)]
    if within:
        pairs = min(train, BLOCK_SIZE)
        others = [_make_images("train-2", range(pairs), side)]
        mean = (train - 1) / 2  # earlier images that an image is compared with
        rows.append(_measure("within training", queries, others, mean, train, cores))
    header = ["", "pairs/s", "core-hours", f"{_JFT // 10**6} M images", f"hours on {cores:,} cores"]
    click.echo(f"{train:,} training images, {against:,} others, {side}x{side} pixels")
    click.echo(console.format_table(header, rows))
    click.echo(f"memory  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB at most")


def _run_in_beam(train: int, side: int) -> str:
    """Compares all images with one another; returns what was sent, written and read."""
    start, num_blocks = time.perf_counter(), blocks.count_blocks(train)
    ranges = [range(n, min(n + _BATCH_SIZE, train)) for n in range(0, train, _BATCH_SIZE)]
    with tempfile.TemporaryDirectory() as folder:
        pipeline = beam.Pipeline()
        images = pipeline | beam.Create(ranges) | beam.Map(_make_in_beam, side)
        _ = images | FindWithin(images | FindUniformSets(), folder)
        _ = images | "Sizes" >> beam.Map(_count_bytes, num_blocks)
        result = pipeline.run()
        result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    num_bytes = {item.key.metric.name: item.committed for item in counters}
    rows = [[name, f"{number / 1e9:,.2f} GB"] for name, number in sorted(num_bytes.items())]
    copies = num_bytes["fingerprint_bytes_sent"] * num_blocks / 1e9
    rows.append(["sent, if each pair of blocks were sent", f"{copies:,.2f} GB"])
    title = f"{train:,} images, {num_blocks} blocks, {time.perf_counter() - start:,.0f} s"
    return console.format_table([title, ""], rows)


def _make_in_beam(indices: range, side: int) -> Fingerprints:
    return _make_images("train", indices, side)


def _count_bytes(images: Fingerprints, num_blocks: int) -> None:
    """Counts what is sent of some images: the parts of the blocks, as Beam encodes them."""
    counter = beam.metrics.Metrics.counter("deduplicator", "fingerprint_bytes_sent")
    counter.inc(sum(len(pickle.dumps(part)) for part in blocks.split(images, num_blocks)))


def _measure(
    title: str, queries: Fingerprints, blocks: Iterator[Fingerprints], others, train, cores
) -> list[str]:
    """One row: the measured rate, and the times of `others` comparisons for each image."""
    seconds, pairs = 0.0, 0
    for block in blocks:
        start = time.process_time()
        for _ in find_in_block(queries, block):
            pass
        seconds += time.process_time() - start
        pairs += len(queries) * len(block)
    hours = train * others * seconds / pairs / 3600
    largest = hours * (_JFT / train) * (_JFT / train if title == "within training" else 1)
    return [
        title,
        f"{pairs / seconds:,.0f}",
        f"{hours:,.2f}",
        f"{largest:,.0f}",
        f"{largest / cores:,.1f}",
    ]


def _blocks(number: int, side: int) -> Iterator[Fingerprints]:
    for start in range(0, number, BLOCK_SIZE):
        yield _make_images("test", range(start, min(start + BLOCK_SIZE, number)), side)


def _make_images(name: str, indices: range, side: int) -> Fingerprints:
    """The same images whatever else is made."""
    starts = range(indices.start, indices.stop, _BATCH_SIZE)
    ends = [min(start + _BATCH_SIZE, indices.stop) for start in starts]
    return concatenate(map(functools.partial(_make_batch, name, side), starts, ends))


def _make_batch(name: str, side: int, start: int, end: int) -> Fingerprints:
    rng = np.random.default_rng([len(name), start])
    thumbnails = _random_fields(rng, end - start)
    readings = []
    for index, thumbnail in zip(range(start, end), thumbnails, strict=True):
        digest = hashlib.sha256(f"{name} {index}".encode()).digest()
        image_id = ImageId(name, f"{index:09}", "", None, index)
        readings.append(Reading(image_id, digest, side, thumbnail))
    return make_fingerprints(readings)


def _random_fields(rng: np.random.Generator, number: int) -> np.ndarray:
    """Fields whose amplitude falls with frequency as in photographs: uint8 [N, 64, 64, 3]."""
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(STORED_SIZE),) * 2))
    amplitude = 1 / np.maximum(frequency, 1 / STORED_SIZE) ** 1.2
    noise = np.fft.fft2(rng.normal(size=(number, 3, STORED_SIZE, STORED_SIZE)))
    fields = np.fft.ifft2(noise * amplitude).real
    fields -= fields.mean((2, 3), keepdims=True)
    fields *= np.array([50, 15, 15])[:, None, None] / fields.std((2, 3), keepdims=True)
    means = rng.uniform((60, 110, 110), (190, 146, 146), (number, 3))[..., None, None]
    return np.moveaxis(np.clip(fields + means, 0, 255), 1, -1).astype(np.uint8)


if __name__ == "__main__":
    main()
