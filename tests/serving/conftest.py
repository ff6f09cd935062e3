# SPDX-License-Identifier: Apache-2.0
"""An exported model with random weights, and the development server that serves it."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import socket

import harness
import numpy as np
import pytest
from PIL import Image

CLASS_NAMES = ("red", "green", "bläulich 青", "d", "e", "f", "g")


@dataclasses.dataclass(frozen=True)
class Served:
    """A folder of versions, and the trained model's answers.

    Attributes:
        folder: with the version 7.
        model: the Keras model.
        images: encoded images of four formats.
        pixels: the same images as the model gets them, uint8 [4, 16, 16, 3].
        probabilities: in label order, by Keras and numpy, float [4, 7].
        pre_logits: by Keras, float [4, 8].
    """

    folder: pathlib.Path
    model: object
    images: list[bytes]
    pixels: np.ndarray
    probabilities: np.ndarray
    pre_logits: np.ndarray

    def best(self, row: int, count: int = 5) -> list[tuple[str, float]]:
        """(class, probability) of an image, the most probable first."""
        order = np.argsort(-self.probabilities[row])[:count]
        return [(CLASS_NAMES[index], self.probabilities[row, index]) for index in order]


def make_model(seed: int = 0):
    """A tiny model with random weights, and its recipe."""
    from mixer_tf import factory

    recipe = harness.tiny_recipe().override(["data.crop=resmall_crop"])
    model = factory.from_recipe(recipe, len(CLASS_NAMES))
    return harness.randomize(model, 0.5, seed), recipe


def make_image(seed: int, image_format: str) -> bytes:
    """The file of a smooth random image."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((23, 40), Image.Resampling.BICUBIC).save(file, image_format)
    return file.getvalue()


def export_version(folder: pathlib.Path, version: int, seed: int = 0):
    """Exports a model to a version; returns the Keras model."""
    from mixer_tf.export import saved_model

    model, recipe = make_model(seed)
    saved_model.export_saved_model(model, recipe, CLASS_NAMES, str(folder / str(version)))
    return model


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Served:
    import tensorflow as tf

    from mixer_tf.images.preprocessing import decode_and_crop

    folder = tmp_path_factory.mktemp("served") / "pets"
    model = export_version(folder, 7)
    images = [make_image(index, each) for index, each in enumerate(["JPEG", "PNG", "GIF", "BMP"])]
    pixels = np.stack([decode_and_crop(tf.constant(i), "resmall_crop", 16) for i in images])
    outputs = model.intermediates("pre_logits", "logits").predict(pixels, verbose=0)
    powers = np.exp(outputs["logits"].astype(np.float64))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    return Served(folder, model, images, pixels, probabilities, outputs["pre_logits"])


@pytest.fixture(scope="session")
def model_server(served):
    """A server for the model "pets" on free ports."""
    from mixer_tf.serving.server.model_server import ModelServer

    with ModelServer(str(served.folder), rest_port=0, grpc_port=0) as server:
        yield server


@pytest.fixture(scope="session")
def addresses(model_server) -> dict[str, str]:
    return {
        "rest": f"localhost:{model_server.rest_port}",
        "grpc": f"grpc://localhost:{model_server.grpc_port}",
    }


@pytest.fixture(params=["rest", "grpc"])
def client(request, addresses):
    from mixer_tf.serving.client import Client

    with Client(addresses[request.param], "pets") as client:
        yield client


@pytest.fixture
def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def export_version_to():
    """The function `export_version(folder, version, seed)`."""
    return export_version
