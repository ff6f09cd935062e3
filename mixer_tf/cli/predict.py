# SPDX-License-Identifier: Apache-2.0
"""`mixer predict`: class names and probabilities for image files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

import click

from mixer_tf.cli.command import Command
from mixer_tf.serving import contract

_BATCH_SIZE = 32
_DEFAULT_TOP = 3


def _check_top(context: click.Context, parameter: click.Parameter, value: int | None) -> int:
    """An exported model answers with `TOP_K` classes, so that no more can be shown."""
    if value is None:
        return min(_DEFAULT_TOP, contract.TOP_K)
    return click.IntRange(1, contract.TOP_K).convert(value, parameter, context)


@click.command(cls=Command)
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE…")
@click.option(
    "--top",
    type=int,
    callback=_check_top,
    help=f"Number of classes to show. Default: {_DEFAULT_TOP}.",
)
@click.option(
    "--server",
    metavar="HOST:PORT",
    help="Ask a model server by REST instead; MODEL is then the name of the model there. "
    "grpc://HOST:PORT for gRPC.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, with all classes."
)
def predict(
    model: str, images: tuple[str, ...], top: int, server: str | None, as_json: bool
) -> None:
    """Classifies image files with an exported model.

    MODEL is a SavedModel, a folder of its versions, the root of a pipeline, or the output of `mixer
    train`. Unusable images are listed with the reason; the exit code is then 1.

    \b
    Examples:
      mixer predict pets-model photo.jpg
      mixer predict runs/digits *.png --top=1
      mixer predict /models/pets/1732000000 holiday/*.webp --json > answers.jsonl
      mixer predict pets photo.jpg --server=localhost:8501
    """
    predictor = _open_predictor(model, server)
    show = _show_json if as_json else _show_text
    failures = 0
    for path, answer in _classify(predictor, images):
        failures += isinstance(answer, str)
        show(path, answer, top)
    if failures:
        raise click.ClickException(f"{failures} of {len(images)} images cannot be used.")


def _open_predictor(model: str, server: str | None):
    """Returns what classifies: a model in this process, or one on a server."""
    if server:
        from mixer_tf.serving.client import Client

        return Client(server, model)
    from mixer_tf.serving import locations
    from mixer_tf.serving.predictor import Predictor

    return Predictor(locations.resolve_saved_model(model))


def _classify(predictor, paths: Sequence[str]) -> Iterator[tuple[str, list | str]]:
    """Yields each path with its predictions, or with the reason why it is unusable."""
    from mixer_tf.images import UnusableImageError

    paths = iter(paths)
    while batch := list(itertools.islice(paths, _BATCH_SIZE)):
        usable, reasons = {}, {}
        for path in batch:
            try:
                usable[path] = _read(path)
            except UnusableImageError as error:
                reasons[path] = str(error)
        answers = predictor.classify(list(usable.values())) if usable else []
        found = dict(zip(usable, answers, strict=True)) | reasons
        yield from ((path, found[path]) for path in batch)


def _read(path: str) -> bytes:
    """Returns the bytes of an image that the model can decode.

    Raises:
        UnusableImageError: the file is not such an image; the message is the reason.
    """
    from mixer_tf import images

    try:
        with open(path, "rb") as file:
            return images.check(file.read())
    except OSError as error:
        raise images.UnusableImageError(error.strerror.lower()) from error


def _show_text(path: str, answer, top: int) -> None:
    if isinstance(answer, str):
        click.echo(f"{click.format_filename(path)}: {answer}", err=True)
        return
    classes = ", ".join(f"{found.class_name} {found.probability:.4f}" for found in answer[:top])
    click.echo(f"{click.format_filename(path)}  {classes}")


def _show_json(path: str, answer, top: int) -> None:
    image = click.format_filename(path)
    if isinstance(answer, str):
        line = {"image": image, "error": answer}
    else:
        found = [
            {"class_name": each.class_name, "probability": each.probability} for each in answer
        ]
        line = {"image": image, "predictions": found}
    click.echo(json.dumps(line, ensure_ascii=False))
