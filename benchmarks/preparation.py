# SPDX-License-Identifier: Apache-2.0
"""Cost of ImageExampleGen and Preprocessor per image, against plain loops over the same work.

    python -m benchmarks.preparation folder:PATH

The loops read, decode and write as the components do, in one process, without Beam, without a
shuffle and without dataset.json. CPU times are those of all threads and processes. The cost of
starting Beam and its workers is measured with a few images and subtracted, and printed by itself.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import apache_beam as beam
import click

from components.image_example_gen.transforms import WriteExamples
from components.preprocessor.transforms import Preprocess
from mixer_tf import console, workers
from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import TRAIN, ImageRecord

_FEW = 16
_PROCESSES = ("--direct_running_mode=multi_processing",)


@click.command()
@click.argument("spec", metavar="SOURCE")
@click.option("--processes", default=2, show_default=True, help="Worker processes to compare.")
@click.option("--limit", default=0, metavar="N", help="Read about N images only; 0 for all.")
@click.option(
    "--repeats", default=3, show_default=True, help="The shortest of so many runs counts."
)
def main(spec: str, processes: int, limit: int, repeats: int) -> None:
    """Prints the table."""
    console.silence_libraries()
    source = _only_train(opening.open_source(spec), limit)
    several = (*_PROCESSES, f"--direct_num_workers={processes}")
    with tempfile.TemporaryDirectory() as folder:
        few = _only_train(source, _FEW)
        num_few = _loop_of_generator(few, f"{folder}/warm-few")
        num_images = _loop_of_generator(source, f"{folder}/warm")
        if num_images <= num_few:
            raise click.ClickException(
                f"SOURCE must have training images beside the first {num_few}, whose cost is "
                f"subtracted; got {num_images}. Use a folder of more images."
            )
        _loop_of_preprocessor(f"{folder}/warm", f"{folder}/warm-2")
        rows = []
        for name, loop, transform in (
            ("ImageExampleGen", _loop_of_generator, _generate),
            ("Preprocessor", _loop_of_preprocessor, _preprocess),
        ):
            given = (source, few) if name == "ImageExampleGen" else _written(folder, source, few)
            plain = _measure(functools.partial(loop, given[0]), folder, repeats)
            one, two = (
                _without_start(transform, given, args, folder, repeats) for args in ((), several)
            )
            rows.append(_row(name, num_images, num_few, plain, one, two))
    click.echo(f"{source.spec}: {num_images:,} images, {workers.count_processors()} cores")
    many = f"{processes} proc."
    header = ("CPU µs per image", "loop", "1 proc.", many, "loop / 1 proc.", f"wall 1 / {many}")
    click.echo(console.format_table((*header, "start 1 s", f"start {processes} s"), rows))


def _row(name: str, num_images: int, num_few: int, plain, one, two) -> tuple[str, ...]:
    """One row of the table.

    Args:
        name: the component.
        num_images, num_few: numbers of all images and of those whose cost is subtracted.
        plain, one, two: what `_measure` and `_without_start` return.
    """
    (_, loop_cpu), ((one_wall, one_cpu), one_start), ((two_wall, two_cpu), two_start) = (
        *(plain, one, two),
    )
    difference = num_images - num_few
    loop, *components = loop_cpu / num_images, one_cpu / difference, two_cpu / difference
    return (
        name,
        *(f"{seconds * 1e6:.0f}" for seconds in (loop, *components)),
        f"{loop / components[0]:.0%}",
        f"{one_wall / two_wall:.2f}",
        f"{one_start:.1f}",
        f"{two_start:.1f}",
    )


def _only_train(source: Source, limit: int) -> Source:
    """The training images, or about the first `limit` of them."""
    items, chosen, count = source.shards_of(TRAIN), [], 0
    for item in items:
        chosen.append(item)
        count += len(getattr(item, "paths", (0,)))
        if limit and count >= limit:
            break
    return Source(source.spec, source.class_names, {TRAIN: chosen}, source.reader, lambda: ())


def _written(folder: str, source: Source, few: Source) -> tuple[str, str]:
    for name, given in (("many", source), ("few", few)):
        _generate(given, f"{folder}/{name}", ())
    return f"{folder}/many", f"{folder}/few"


def _without_start(transform, given, args, folder, repeats) -> tuple[tuple[float, float], float]:
    """(wall, CPU) seconds without those of a few images, and the wall seconds of these."""
    start = _measure(lambda out: transform(given[1], out, args), folder, repeats)
    whole = _measure(lambda out: transform(given[0], out, args), folder, repeats)
    return (whole[0] - start[0], whole[1] - start[1]), start[0]


def _measure(work: Callable[[str], object], folder: str, repeats: int) -> tuple[float, float]:
    """The shortest wall and CPU seconds of several runs; files are in the cache of the system."""
    runs = [_measure_once(work, folder) for _ in range(repeats)]
    return min(wall for wall, _ in runs), min(cpu for _, cpu in runs)


def _measure_once(work: Callable[[str], object], folder: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        before, cpu = time.monotonic(), _cpu_seconds()
        work(out)
        return time.monotonic() - before, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _generate(source: Source, out: str, args: tuple[str, ...]) -> None:
    with beam.Pipeline(argv=list(args)) as pipeline:
        _ = pipeline | WriteExamples(source, out)


def _preprocess(folder: str, out: str, args: tuple[str, ...]) -> None:
    with beam.Pipeline(argv=list(args)) as pipeline:
        _ = pipeline | Preprocess(folder, (TRAIN,), out, f"{out}/quarantine")


def _loop_of_generator(source: Source, out: str) -> int:
    records = (record for item in source.shards_of(TRAIN) for record in source.read(item))
    return examples.write(records, out, TRAIN, 1)


def _loop_of_preprocessor(folder: str, out: str) -> int:
    return examples.write(_checked(folder), out, TRAIN, 1)


def _checked(folder: str) -> Iterator[ImageRecord]:
    for path in examples.list_shards(folder, TRAIN):
        yield from map(validation.check_record, examples.read_records(path))


if __name__ == "__main__":
    sys.exit(main())
