# SPDX-License-Identifier: Apache-2.0
"""Checks that a served model answers as the trained one: over REST and gRPC, and for wrong inputs.

`check.py` checks the exported files in a process without mixer_tf. Here the model is served by the
development server, and the trained model is built again in Keras.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import images
from mixer_tf.export import check, generated_images, loading, saved_model
from mixer_tf.export.check import FailedCheck
from mixer_tf.export.loading import Export
from mixer_tf.features import ImageRecord
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.serving import contract, statuses
from mixer_tf.serving.client import Client
from mixer_tf.serving.server.model_server import ModelServer
from mixer_tf.serving.statuses import ServingError

BATCH_SIZES = (1, 7, 64)
# Absolute for probabilities, relative to the largest value for features. The two sums of a matrix
# product differ in their order with the size of the batch, which float32 shows in the last digits.
TOLERANCE = 1e-6
_FEATURE_TOLERANCE = 1e-5
_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class TrainedImage:
    """An image, and the trained model's answers to it.

    Attributes:
        kind: such as "PNG with a palette"; for messages.
        encoded: the file.
        is_converted: whether training stores it as another file, a PNG.
        pixels: as the model gets them, uint8 [S, S, 3].
        answers: signature -> output -> array without the axis of the batch.
    """

    kind: str
    encoded: bytes
    is_converted: bool
    pixels: np.ndarray
    answers: Mapping[str, Mapping[str, np.ndarray]]


@dataclasses.dataclass
class Report:
    """What was checked.

    Attributes:
        images: number of images whose answers were compared.
        differences: signature -> the largest difference from the trained model.
        batch_sizes: numbers of images in the requests, in ascending order.
        transports: "REST" and "gRPC", as far as images were sent over them.
        served: kind -> number of images that the server decodes as training does.
        refused: kind -> number of images that it refuses, and training converts to PNG.
        wrong_inputs: number of wrong requests that were refused, after which the server answered.
    """

    images: int = 0
    differences: dict[str, float] = dataclasses.field(default_factory=dict)
    batch_sizes: list[int] = dataclasses.field(default_factory=list)
    transports: list[str] = dataclasses.field(default_factory=list)
    served: dict[str, int] = dataclasses.field(default_factory=dict)
    refused: dict[str, int] = dataclasses.field(default_factory=dict)
    wrong_inputs: int = 0


def check_served(
    model_dir: str,
    files: Iterable[tuple[str, bytes]] | None = None,
    count: int = 1000,
    progress: Callable[[int], None] = lambda count: None,
) -> Report:
    """Serves a model on free ports of this machine, and compares it with the trained model.

    Args:
        model_dir: path of a SavedModel that mixer_tf exported.
        files: (kind, encoded image) that training accepts; generated ones of all kinds by default.
        count: the number of images at most.
        progress: gets the number of images compared so far.

    Raises:
        FailedCheck: an answer differs, or a wrong input is accepted or ends the server.
        ValueError: there is no usable image, or mixer_tf did not export the model.
    """
    export = loading.open_export(model_dir)
    report = Report()
    files = generated_images.generate(count) if files is None else itertools.islice(files, count)
    with ModelServer(model_dir, name="model", rest_port=0, grpc_port=0) as server:
        addresses = f"localhost:{server.rest_port}", f"grpc://localhost:{server.grpc_port}"
        clients = [Client(address, "model", timeout=600) for address in addresses]
        trained = _served_images(_trained_images(export, files), clients[0], report)
        _compare_images(clients, trained, report, progress)
        if not report.images:
            raise ValueError("at least one image must be usable; none is.")
        _check_wrong_inputs(clients, export.recipe.model.image_size, report)
    return report


def _trained_images(export: Export, files: Iterable[tuple[str, bytes]]) -> Iterator[TrainedImage]:
    """Yields the images with the answers of the trained model, which gets them as in training."""
    data, side = export.recipe.data, export.recipe.model.image_size
    files = iter(files)
    while chunk := list(itertools.islice(files, _CHUNK)):
        usable = [(kind, encoded, images.check(encoded)) for kind, encoded in chunk]
        pixels = np.stack(
            [decode_and_crop(tf.constant(each), data.crop, side).numpy() for *_, each in usable]
        )
        answers = saved_model.trained_answers(
            export.model, export.recipe, export.class_names, pixels
        )
        for row, (kind, encoded, _) in enumerate(usable):
            is_converted = usable[row][2] != encoded
            yield TrainedImage(kind, encoded, is_converted, pixels[row], _row_of(answers, row))


def _row_of(answers: Mapping, row: int) -> dict:
    return {
        signature: {name: value[row] for name, value in outputs.items()}
        for signature, outputs in answers.items()
    }


def _served_images(
    trained: Iterable[TrainedImage], client: Client, report: Report
) -> Iterator[TrainedImage]:
    """Leaves out the images that the server refuses; only those that training converts may be."""
    for image in trained:
        if image.is_converted and _is_refused(client, image):
            report.refused[image.kind] = report.refused.get(image.kind, 0) + 1
            continue
        report.served[image.kind] = report.served.get(image.kind, 0) + 1
        yield image


def _is_refused(client: Client, image: TrainedImage) -> bool:
    try:
        client.predict({contract.IMAGE_BYTES: _strings([image.encoded])})
    except ServingError as error:
        if error.code == statuses.INVALID_ARGUMENT:
            return True
        raise FailedCheck(f"a {image.kind} gives {error.code}: {error}") from error
    return False


def _compare_images(
    clients: Sequence[Client],
    trained: Iterator[TrainedImage],
    report: Report,
    progress: Callable[[int], None],
) -> None:
    """Sends every image to every signature, in one batch over one transport; these take turns."""
    for size, client in itertools.cycle(itertools.product(BATCH_SIZES, clients)):
        batch = list(itertools.islice(trained, size))
        if not batch:
            return
        for signature, inputs in _requests(batch).items():
            difference = _compare(client, signature, inputs, batch)
            report.differences[signature] = max(difference, report.differences.get(signature, 0.0))
        report.images += len(batch)
        report.batch_sizes = sorted({*report.batch_sizes, len(batch)})
        report.transports = sorted({*report.transports, _transport(client)})
        progress(report.images)


def _transport(client: Client) -> str:
    return "gRPC" if client.address.startswith("grpc") else "REST"


def _requests(batch: Sequence[TrainedImage]) -> dict[str, dict[str, np.ndarray]]:
    """Returns signature -> inputs for a batch."""
    encoded = _strings([image.encoded for image in batch])
    examples = [ImageRecord(each, "", None, "", "", 0, 0).to_example() for each in encoded]
    return {
        contract.SERVING_SIGNATURE: {contract.IMAGE_BYTES: encoded},
        contract.FEATURES_SIGNATURE: {contract.IMAGE_BYTES: encoded},
        contract.EXAMPLES_SIGNATURE: {contract.EXAMPLES: _strings(examples)},
        contract.PIXELS_SIGNATURE: {contract.PIXELS: np.stack([image.pixels for image in batch])},
    }


def _compare(
    client: Client, signature: str, inputs: Mapping, batch: Sequence[TrainedImage]
) -> float:
    """Returns the largest difference of a batch, relative to the value for features."""
    where = f"{signature} in a batch of {len(batch)} from {client.address}"
    try:
        found = client.predict(inputs, signature)
    except ServingError as error:
        kinds = ", ".join(sorted({image.kind for image in batch}))
        raise FailedCheck(f"{where} does not answer for {kinds}: {error}") from error
    first = batch[0].answers[signature]
    wanted = {name: np.stack([i.answers[signature][name] for i in batch]) for name in first}
    difference = check.compare(where, found, wanted)
    allowed = TOLERANCE
    if signature == contract.FEATURES_SIGNATURE:
        allowed = _FEATURE_TOLERANCE * (1 + np.abs(wanted[contract.PRE_LOGITS]).max())
    if difference > allowed:
        raise FailedCheck(
            f"{where} differs from the trained model's answer by {difference:.2g}; at most "
            f"{allowed:.2g}"
        )
    return difference


def _check_wrong_inputs(clients: Sequence[Client], side: int, report: Report) -> None:
    """Sends wrong requests; each must be refused, and the next right one answered."""
    (_, good), *_ = generated_images.generate(1)
    for client in clients:
        expected = client.classify([good])
        if client.classify([]) != []:
            raise FailedCheck("an empty batch must have an empty answer")
        for title, signature, inputs in wrong_inputs(good, side):
            _require_refusal(client, title, signature, inputs)
            if client.classify([good]) != expected:
                raise FailedCheck(f"after {title}, the server answers otherwise than before")
            report.wrong_inputs += 1


def _require_refusal(client: Client, title: str, signature: str, inputs: Mapping) -> None:
    try:
        client.predict(inputs, signature)
    except ServingError as error:
        if error.code == statuses.INVALID_ARGUMENT and "\n" not in str(error):
            return
        raise FailedCheck(f"{title} gives {error.code}: {error}") from error
    raise FailedCheck(f"{signature} accepts {title}")


def wrong_inputs(good: bytes, side: int) -> list[tuple[str, str, dict[str, np.ndarray]]]:
    """Returns (title, signature, inputs) of requests that a model must refuse.

    Args:
        good: a JPEG.
        side: the model's image size.
    """
    default, features = contract.SERVING_SIGNATURE, contract.FEATURES_SIGNATURE
    bytes_of = {
        "bytes that are not an image": b"garbage",
        "no bytes": b"",
        "half a JPEG": good[: len(good) // 2],
        "an image of 400 million pixels": generated_images.bomb(),
        "a JPEG of 2,000 scans": generated_images.scan_bomb(),
    }
    found = [
        (title, signature, {contract.IMAGE_BYTES: _strings([good, content])})
        for title, content in bytes_of.items()
        for signature in (default, features)
    ]
    pixels, examples = contract.PIXELS_SIGNATURE, contract.EXAMPLES_SIGNATURE
    empty = ImageRecord(b"", "", 1, "", "", 0, 0).to_example()
    shapes = ((1, side + 1, side, 3), (1, 2 * side, side // 2, 3), (1, side, side, 1), (side,))
    found += [
        (f"pixels of the shape {shape}", pixels, {contract.PIXELS: np.zeros(shape, np.uint8)})
        for shape in shapes
    ]
    image = np.full((1, side, side, 3), 0.5, np.float32)
    return [
        *found,
        ("pixels as floats", pixels, {contract.PIXELS: image}),
        ("text as pixels", pixels, {contract.PIXELS: _strings([b"1"])}),
        ("an image in a list", default, {contract.IMAGE_BYTES: _strings([good]).reshape(1, 1)}),
        ("numbers as images", default, {contract.IMAGE_BYTES: np.array([1, 2])}),
        ("an unknown input", default, {"images": _strings([good])}),
        ("no input", default, {}),
        ("bytes that are not an example", examples, {contract.EXAMPLES: _strings([b"garbage"])}),
        ("an example without an image", examples, {contract.EXAMPLES: _strings([empty])}),
        ("an unknown signature", "classify", {contract.IMAGE_BYTES: _strings([good])}),
    ]


def _strings(values: Sequence[bytes]) -> np.ndarray:
    return np.array([*values], object)
