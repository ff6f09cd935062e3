# SPDX-License-Identifier: Apache-2.0
"""Evaluation, features and bulk prediction, as shares of the forward pass and of decoding.

    python -m benchmarks.evaluation --model=mixer_b16 --images=256

The models have random weights. "forward" and "decode" are what the model and the decoder reach
alone on all cores; "both" is one after the other on the same cores. Beam's start and the loading of
the model by its worker are measured with a few images, and subtracted from the bulk prediction.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

import click

from benchmarks import images, results
from benchmarks.results import Column, Table
from mixer_tf import recipes
from mixer_tf.cli.command import Command
from mixer_tf.recipes.schema import ModelOptions, Recipe

_FEW = 4
_BATCH_SIZE = 64
_COLUMNS = (
    Column("images"),
    Column("work"),
    Column(results.RATE, ",.1f"),
    Column("of forward", ".0%"),
    Column("of decode", ".0%"),
    Column("of both", ".0%"),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is evaluated.

    Attributes:
        title: title of the rows.
        recipe: recipe of the model.
        encoded: different images.
        number: number of images to read.
    """

    title: str
    recipe: Recipe
    encoded: Sequence[bytes]
    number: int


@click.command(cls=Command)
@click.option("--model", default="mixer_s32", show_default=True, help="For photographs, 224 px.")
@click.option("--images", "number", default=192, show_default=True, help="Photographs; 0 for none.")
@click.option("--folder", metavar="PATH", help="Photographs. Default: generated ones.")
@click.option(
    "--small-images",
    default=2048,
    show_default=True,
    help="Images of 32x32 pixels for the model of the recipe cifar10; 0 for none.",
)
@click.option("--seconds", default=2.0, show_default=True, help="Duration of each limit.")
@results.json_option
def main(as_json: bool, **settings) -> None:
    """Prints images/s of evaluation, features and bulk prediction, and their shares."""
    results.show(measure(**settings), as_json)


def measure(
    model: str, number: int, folder: str | None, small_images: int, seconds: float
) -> list[Table]:
    """Returns the table; the arguments are the options of the command."""
    cases = []
    if number:
        recipe = recipes.get("pretrain_imagenet_b16").replace(model=ModelOptions(name=model))
        cases.append(Case(f"photographs, {model}", recipe, images.photographs(folder), number))
    if small_images:
        encoded = images.small_images(min(small_images, 512))
        cases.append(Case("32x32, cifar10", recipes.get("cifar10"), encoded, small_images))
    rows: list[tuple] = []
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="mixer-evaluation-") as root:
            rows += _measure_case(case, root, seconds)
    return [Table(_COLUMNS, rows, notes(rows))]


def notes(rows: Sequence[tuple]) -> list[str]:
    """Returns a sentence on the works without a rate, if there are any."""
    without = ", ".join(f"{work} of {title}" for title, work, rate, *_ in rows if rate is None)
    advice = "use more images, or a machine without other work"
    return [f"No longer than its start took: {without}; {advice}."] if without else []


def _measure_case(case: Case, root: str, seconds: float) -> list[tuple]:
    from mixer_tf import factory
    from mixer_tf.benchmarks import limits
    from mixer_tf.datasets.sources import opening
    from mixer_tf.export import saved_model

    results.progress(f"evaluation: {case.title}, limits")
    path = os.path.join(root, "model")
    model = factory.from_recipe(case.recipe, len(images.CLASSES))
    saved_model.export_saved_model(model, case.recipe, images.CLASSES, path)
    limit = limits.measure(path, case.encoded, [_BATCH_SIZE], seconds)
    sources = [
        opening.open_source(images.write_folder(os.path.join(root, name), case.encoded, number))
        for name, number in (("few", _FEW), ("many", case.number))
    ]
    rates = {
        "decode": limit.decode,
        "forward": limit.forward[_BATCH_SIZE],
        "both": limit.both(_BATCH_SIZE),
    }
    rows = [row_of(case.title, f"limit: {name}", rate, rates) for name, rate in rates.items()]
    for name, work in _works(path, root).items():
        results.progress(f"evaluation: {case.title}, {name}")
        rate = rate_without_start(work, *sources, case.number - _FEW)
        rows.append(row_of(case.title, name, rate, rates))
    return rows


def row_of(title: str, work: str, rate: float | None, limits: Mapping[str, float]) -> tuple:
    """Returns a row with the shares of the limits "forward", "decode" and "both"."""
    shares = (results.ratio(rate, limits[name]) for name in ("forward", "decode", "both"))
    return (title, work, rate, *shares)


def rate_without_start(work: Callable, few, many, difference: int) -> float | None:
    """Returns images per second, without what happens once.

    Args:
        work: takes a source.
        few, many: sources.
        difference: between their numbers of images.

    Returns:
        The rate; None where many images took no longer than a few.
    """
    work(few)  # what only the first call does
    start = _seconds(work, few)
    seconds = _seconds(work, many) - start
    return difference / seconds if seconds > 0 else None


def _seconds(work: Callable, source) -> float:
    start = time.monotonic()
    work(source)
    return time.monotonic() - start


def _works(path: str, root: str) -> dict[str, Callable]:
    """Returns title -> what reads all images of a source."""
    from mixer_tf.evaluation import image_features, side_by_side
    from mixer_tf.export import loading
    from mixer_tf.serving.predictor import Predictor

    export = loading.open_export(path)
    model = side_by_side.Model("model", Predictor(path))
    extractor = image_features.FeatureExtractor(export.model, export.recipe.data.crop)

    def evaluate(source) -> None:
        what = side_by_side.Options(top=1, batch_size=_BATCH_SIZE)
        with side_by_side.evaluating([model], source, source.splits, what):
            pass

    def extract(source) -> None:
        image_features.read_features(extractor, source, source.splits, batch_size=_BATCH_SIZE)

    return {
        "mixer evaluate": evaluate,
        "features": extract,
        "BulkPredictor": functools.partial(_predict, path, root),
    }


def _predict(path: str, root: str, source) -> None:
    import apache_beam as beam

    from components.bulk_predictor.transforms import PredictSource

    with tempfile.TemporaryDirectory(dir=root) as out, beam.Pipeline(argv=[]) as pipeline:
        _ = pipeline | PredictSource(source, path, out)


if __name__ == "__main__":
    sys.exit(main())
