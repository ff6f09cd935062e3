# SPDX-License-Identifier: Apache-2.0
"""The input pipeline of the training against plain decoding, and what its order costs.

    python -m benchmarks.training_input --folder=photos

The first table compares batches of a recipe with decoding alone, and with the decoding and cropping
of the authors' code: a random crop whose pixels alone are decoded, resized, and flipped; it reads
the same files, in random order as ours. Decoding alone has its images in memory. The second
table has the seconds to the first batch of small images: "first" without a shuffle, "shuffle" with
a buffer of all images, "skip" of a training that resumes at the end of its first epoch, and
"restore" of one that resumes ten epochs later. "growth" compares the seconds per additional image
of the last two sizes with those of the first two: 1 is linear.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence

import click

from benchmarks import images, results
from benchmarks.images import JPEG, PNG
from benchmarks.results import Column, Table, ratio
from mixer_tf import recipes
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.features import TRAIN
from mixer_tf.recipes.schema import Recipe

_BATCH_SIZE = 64
_SMALLEST = 2 * _BATCH_SIZE
_REPEATS = 3
_LATER_EPOCHS = 10
_COLUMNS = (
    Column("format"),
    Column("pipeline"),
    Column(results.RATE, ",.0f"),
    Column("of decoding", ".0%"),
    Column("of the authors'", ".2f"),
)
_TIMES = ("first", "shuffle", "skip", "restore")
_GROWTH_COLUMNS = (
    Column("images"),
    *(Column(f"{name} s", ",.3f") for name in _TIMES),
)


def _three_sizes(context, option, text: str) -> tuple[int, ...]:
    sizes = tuple(sorted(options.numbers_of(_SMALLEST)(context, option, text)))
    if len(sizes) != 3:
        raise click.BadParameter(f"must be three numbers of images; got {text!r}.")
    return sizes


@click.command(cls=Command)
@click.option(
    "--recipe",
    default="pretrain_jft_b16",
    show_default=True,
    help="Of the first table. The default crops and flips 224 px, without other augmentation.",
)
@click.option("--folder", metavar="PATH", help="JPEG photographs. Default: generated ones.")
@click.option("--sizes", default="4000,8000,16000", show_default=True, callback=_three_sizes)
@click.option("--seconds", default=3.0, show_default=True, help="Duration of each rate.")
@results.json_option
def main(as_json: bool, **settings) -> None:
    """Prints images/s of the input pipeline, and the seconds to its first batch."""
    results.show(measure(**settings), as_json)


def measure(recipe: str, folder: str | None, sizes: Sequence[int], seconds: float) -> list[Table]:
    """Returns the tables; the arguments are the options of the command."""
    encoded = images.photographs(folder)
    chosen = recipes.get(recipe)
    rows = []
    for name, content in ((JPEG, encoded), (PNG, [*map(images.as_png, encoded)])):
        results.progress(f"training_input: {name}")
        rows += make_rows(name, *_rates(chosen, content, name == JPEG, seconds))
    return [Table(_COLUMNS, rows), _measure_growth(sizes)]


def make_rows(name: str, ours: float, authors: float, decoding: float) -> list[tuple]:
    """Returns the rows of a format, of images per second."""
    rates = {"ours": ours, "the authors'": authors, "decoding alone": decoding}
    return [
        (name, title, rate, ratio(rate, decoding), ratio(rate, authors))
        for title, rate in rates.items()
    ]


def _rates(
    recipe: Recipe, encoded: Sequence[bytes], is_jpeg: bool, seconds: float
) -> tuple[float, ...]:
    """Returns images per second of our pipeline, the authors', and of decoding alone."""
    import tensorflow as tf

    from mixer_tf.training.input import batches
    from mixer_tf.training.input.split import parse_examples, read_records

    def crop(each, label):
        return _authors_crop(each, recipe.model.image_size, is_jpeg), tf.one_hot(label, 10)

    smaller = _with_batches(recipe, shuffle_buffer=len(encoded))
    with tempfile.TemporaryDirectory() as folder:
        split = _write(folder, encoded, len(encoded))
        ours = _rate(batches.training_batches(split, smaller), seconds)
        stored = parse_examples(read_records(split.files), split.num_classes)
        shuffled = stored.repeat().shuffle(len(encoded)).map(crop, tf.data.AUTOTUNE)
        authors = _rate(shuffled.batch(_BATCH_SIZE).prefetch(2), seconds)
    decode = tf.io.decode_jpeg if is_jpeg else tf.io.decode_png
    # A number for each image, because images of different sizes make no batch.
    decoded = (
        tf.data.Dataset.from_tensor_slices(list(encoded))
        .repeat()
        .map(lambda each: decode(each, channels=3)[0, 0], tf.data.AUTOTUNE)
    )
    return ours, authors, _rate(decoded.batch(_BATCH_SIZE).prefetch(2), seconds)


def _authors_crop(encoded, size: int, is_jpeg: bool):
    """A flipped, resized crop of 5 to 100 % of the area; of a JPEG, only its pixels are decoded."""
    import tensorflow as tf

    if is_jpeg:
        shape = tf.io.extract_jpeg_shape(encoded)
    else:
        image = tf.io.decode_png(encoded, channels=3)
        shape = tf.shape(image)
    begin, extent, _ = tf.image.sample_distorted_bounding_box(
        *(shape, tf.zeros([1, 0, 4])),
        area_range=(0.05, 1.0),
        min_object_covered=0,
        use_image_if_no_bounding_boxes=True,
    )
    if is_jpeg:
        window = tf.concat([begin[:2], extent[:2]], axis=0)
        crop = tf.io.decode_and_crop_jpeg(encoded, window, channels=3)
    else:
        crop = tf.slice(image, begin, extent)
    resized = tf.image.resize(crop, [size, size])
    return tf.image.random_flip_left_right(tf.cast(resized, tf.uint8))


def _rate(dataset, seconds: float) -> float:
    """Returns images per second of batches of `_BATCH_SIZE`."""
    from mixer_tf.benchmarks.timing import calls_per_second

    iterator = iter(dataset)
    return _BATCH_SIZE * calls_per_second(lambda: next(iterator), seconds)


def _with_batches(recipe: Recipe, shuffle_buffer: int) -> Recipe:
    return recipe.replace(
        data=recipe.data.replace(shuffle_buffer=shuffle_buffer),
        training=recipe.training.replace(batch_size=_BATCH_SIZE, accumulation_steps=1),
    )


def _write(folder: str, encoded: Sequence[bytes], number: int):
    """Writes images as shards, and returns the training split."""
    from mixer_tf.planning import sample
    from mixer_tf.training.input.split import open_splits

    info = sample.write_images(folder, {TRAIN: number}, 10, encoded)
    return open_splits(folder, info)[TRAIN]


def _measure_growth(sizes: Sequence[int]) -> Table:
    """Measures the seconds to the first batch for three numbers of images."""
    recipe = recipes.get("cifar10")
    encoded = images.small_images(256, recipe.model.image_size)
    times = []
    for size in sizes:
        results.progress(f"training_input: {size:,} small images")
        with tempfile.TemporaryDirectory() as folder:
            times.append(_first_batches(recipe, _write(folder, encoded, size)))
    return make_growth_table(sizes, times)


def _first_batches(recipe: Recipe, split) -> tuple[float, ...]:
    """Returns the seconds of `_TIMES`."""
    epoch = split.num_examples // _BATCH_SIZE
    later = _LATER_EPOCHS * split.num_examples // _BATCH_SIZE
    in_order, shuffled = (_with_batches(recipe, buffer) for buffer in (1, split.num_examples))
    return (
        _seconds_to_first(split, in_order, 0),
        _seconds_to_first(split, shuffled, 0),
        _seconds_to_first(split, shuffled, epoch - 1),
        _seconds_to_first(split, shuffled, later + epoch - 1),
    )


def _seconds_to_first(split, recipe: Recipe, first_step: int) -> float:
    """Returns the least seconds of several runs."""
    from mixer_tf.training.input import batches

    def run() -> float:
        start = time.monotonic()
        next(iter(batches.training_batches(split, recipe, first_step)))
        return time.monotonic() - start

    return min(run() for _ in range(_REPEATS))


def make_growth_table(sizes: Sequence[int], times: Sequence[Sequence[float]]) -> Table:
    """Returns the table of the seconds of `_TIMES` for each of three numbers of images."""
    rows = [(f"{size:,}", *each) for size, each in zip(sizes, times, strict=True)]
    rows.append(("growth", *(growth(sizes, column) for column in zip(*times, strict=True))))
    return Table(_GROWTH_COLUMNS, rows)


def growth(sizes: Sequence[int], seconds: Sequence[float]) -> float | None:
    """Returns how much more an image costs between the last two sizes than between the first two.

    It is 1 where the time is linear, whatever happens once; 2 for a square where the sizes double.
    None where the larger of the first two sizes takes no longer.
    """
    (small, middle, large), (first, second, third) = sizes, seconds
    early, late = (second - first) / (middle - small), (third - second) / (large - middle)
    return late / early if early > 0 else None


if __name__ == "__main__":
    sys.exit(main())
