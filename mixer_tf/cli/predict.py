# SPDX-License-Identifier: Apache-2.0
"""`mixer predict`: class names and probabilities for image files and folders of them."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence

import click

from mixer_tf.cli.command import Command
from mixer_tf.cli.options import output_option
from mixer_tf.console import progress_counter
from mixer_tf.messages import visible
from mixer_tf.serving import contract

_BATCH_SIZE = 32
_FEW = 16  # images for which it does not pay to optimize the graph of the model
_DEFAULT_TOP = 3


def _check_top(context: click.Context, parameter: click.Parameter, value: int | None):
    """An exported model predicts `TOP_K` classes, so that no more can be shown."""
    if value is None:
        return None
    return click.IntRange(1, contract.TOP_K).convert(value, parameter, context)


@click.command(cls=Command)
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE_OR_FOLDER…")
@click.option(
    "--top",
    type=int,
    callback=_check_top,
    help=f"Number of classes to show. Default: {_DEFAULT_TOP}; with --json, {contract.TOP_K}.",
)
@click.option(
    "--server",
    metavar="HOST:PORT",
    help="Ask a model server by REST instead; MODEL is then the name of the model there. "
    "grpc://HOST:PORT for gRPC.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per line, with the path of the image and the "
    f"{contract.TOP_K} most probable classes.",
)
@output_option(
    "Write a table instead, one row for each image: FILE.csv or FILE.parquet. It appears when it "
    "is complete, and replaces an existing file. In CSV, a name that a spreadsheet would run as a "
    "formula starts with an apostrophe."
)
def predict(
    model: str,
    images: tuple[str, ...],
    top: int | None,
    server: str | None,
    as_json: bool,
    output: str | None,
) -> None:
    """Classifies image files with an exported model.

    MODEL is a SavedModel, a folder of its versions, the root of a pipeline, or the output of `mixer
    train`. A folder stands for all images in it and below it, in natural order (2.jpg before
    10.jpg); its other files are ignored and counted. Unusable images are listed with the reason;
    the exit code is then 1.

    \b
    Examples:
      mixer predict pets-model photo.jpg
      mixer predict pets-model holiday/ photo.jpg
      mixer predict runs/digits *.png --top=1
      mixer predict /models/pets/1732000000 holiday/ --json > predictions.jsonl
      mixer predict pets photo.jpg --server=localhost:8501
      mixer predict pets-model holiday/ --output=predictions.csv
    """
    if output is not None and as_json:
        raise click.UsageError("--json and --output must not be given together. Choose one.")
    from mixer_tf.datasets.image_paths import find_images
    from mixer_tf.serving import prediction_files

    if top is None:
        top = contract.TOP_K if as_json else min(_DEFAULT_TOP, contract.TOP_K)
    if output is not None:
        prediction_files.require_writable(output)
    found = find_images(images)
    for note in found.notes():
        click.echo(f"note: {visible(_printable(note))}", err=True)
    total = len(found.images) + len(found.problems)
    failures = 0
    with (
        _open_predictor(model, server, total) as classify,
        _table(output, top) as add,
        _progress(output, total) as progress,
    ):
        show = add or (_show_json if as_json else _show_text)
        results = itertools.chain(found.problems.items(), _classify(classify, found.images))
        for count, (path, result) in enumerate(results, 1):
            failures += isinstance(result, str)
            show(_printable(path), result, top)
            progress(count)
    if output:
        click.echo(f"predictions for {total - failures:,} of {total:,} images in {visible(output)}")
    if failures:
        raise click.ClickException(f"{failures:,} of {total:,} images cannot be used.")


@contextlib.contextmanager
def _table(output: str | None, top: int) -> Iterator[Callable | None]:
    """Yields what adds a result to the table; None if there is no table."""
    if output is None:
        yield None
        return
    from mixer_tf.serving import prediction_files

    with prediction_files.writing(output, top) as add:
        yield lambda image, result, _: add(image, result)


def _progress(
    output: str | None, total: int
) -> contextlib.AbstractContextManager[Callable[[int], None]]:
    """Counts the images while the results go to a file; on a terminal they show the progress."""
    if sys.stdout.isatty() and not output:
        return contextlib.nullcontext(lambda count: None)
    return progress_counter(f"images ({total:,} in all)")


def _printable(path: str) -> str:
    from mixer_tf.messages import printable, without_credentials

    return printable(without_credentials(path))


@contextlib.contextmanager
def _open_predictor(model: str, server: str | None, total: int) -> Iterator[Callable]:
    """Yields what classifies `total` images: a model in this process, or one on a server.

    It returns for each image its predictions, or the error of a server about this image.
    """
    if server:
        from mixer_tf.serving.client import Client

        with Client(server, model) as client:
            yield client.classify_each
        return
    from mixer_tf.graph_optimization import graphs_as_written
    from mixer_tf.lean_imports import import_tensorflow

    import_tensorflow()
    from mixer_tf.serving import locations
    from mixer_tf.serving.predictor import Predictor

    with graphs_as_written() if total <= _FEW else contextlib.nullcontext():
        yield Predictor(locations.resolve_saved_model(model)).classify


def _classify(classify: Callable, paths: Sequence[str]) -> Iterator[tuple[str, list | str]]:
    """Yields each path with its predictions, or with the reason why it is unusable."""
    paths = iter(paths)
    while batch := list(itertools.islice(paths, _BATCH_SIZE)):
        usable, reasons = _read(batch)
        results = classify(list(usable.values())) if usable else []
        found = dict(zip(usable, results, strict=True)) | reasons
        for path in batch:
            yield path, found[path] if isinstance(found[path], list) else str(found[path])


def _read(paths: Sequence[str]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Returns path → bytes that the model can decode; path → why the file is not such an image."""
    from mixer_tf.datasets import validation
    from mixer_tf.datasets.files import read_image
    from mixer_tf.images import UnusableImageError

    usable, reasons = {}, {}
    records = [read_image(path, None, "") for path in paths]
    examined = validation.examine_records(records, labeled=False)
    for path, (_, found) in zip(paths, examined, strict=True):
        if isinstance(found, UnusableImageError):
            reasons[path] = str(found)
        else:
            usable[path] = found[0].encoded
    return usable, reasons


def _show_text(image: str, result, top: int) -> None:
    image = visible(image)
    if isinstance(result, str):
        click.echo(f"{image}: {result}", err=True)
        return
    classes = ", ".join(
        f"{visible(found.class_name)} {found.probability:.4f}" for found in result[:top]
    )
    click.echo(f"{image}  {classes}")


def _show_json(image: str, result, top: int) -> None:
    if isinstance(result, str):
        line = {"image": image, "error": result}
    else:
        found = [
            {"class_name": each.class_name, "probability": each.probability}
            for each in result[:top]
        ]
        line = {"image": image, "predictions": found}
    click.echo(json.dumps(line, ensure_ascii=False))
