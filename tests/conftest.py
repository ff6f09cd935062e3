# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several packages share: folders of tiny images, usable and unusable; models."""

from __future__ import annotations

import dataclasses
import gc
import io
import json
import pathlib
import socket
import struct
import time
import zlib

import harness
import numpy as np
import pytest
from PIL import Image


def pytest_addoption(parser):
    parser.addoption(
        "--until",
        type=float,
        help="Skip the tests that have not started at this time, in seconds since 1970.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What the modules of the tests import stays: no search for garbage goes through it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure():
    """Or TensorFlow's functions would complain when they are deleted at the end."""
    gc.unfreeze()


def pytest_runtest_setup(item):
    until = item.config.getoption("--until")
    if until is not None and time.time() > until:
        pytest.skip("the time for tests is over")


@pytest.fixture(autouse=True)
def free_memory(request):
    """Keras models are cycles of references, and the slow tests build some of several gigabytes."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A photograph of 640x427 pixels from scikit-learn."""
    datasets = pytest.importorskip("sklearn.datasets")
    return Image.fromarray(datasets.load_sample_image("china.jpg"))


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """A folder of class subfolders.

    Attributes:
        path: the folder.
        good: relative paths of the usable images.
        bad: relative path of an unusable image → a word of the reason.
    """

    path: pathlib.Path
    good: tuple[str, ...]
    bad: dict[str, str]


def make_pixels(seed: int, height: int = 16, width: int = 16) -> np.ndarray:
    """A smooth random color image, uint8 [height, width, 3], different for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def encode(image: Image.Image | np.ndarray, image_format: str, **options) -> bytes:
    """The content of an image file, written by PIL."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def make_bomb(side: int = 20_000) -> bytes:
    """A valid one-bit PNG of `side` x `side` pixels in a few kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.fixture
def two_workers() -> list[str]:
    """TF_CONFIG for each of two workers on this machine, with free ports."""
    sockets = [socket.socket() for _ in range(2)]
    for a_socket in sockets:
        a_socket.bind(("localhost", 0))
    workers = [f"localhost:{a_socket.getsockname()[1]}" for a_socket in sockets]
    for a_socket in sockets:
        a_socket.close()
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [json.dumps({"cluster": {"worker": workers}, "task": task}) for task in tasks]


def write_image_folder(path: pathlib.Path, classes=("cat", "dog"), per_class: int = 20) -> None:
    """Writes `per_class` small PNG files into one subfolder per class."""
    for label, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = make_pixels(1000 * label + index)
            (path / name / f"{index:03d}.png").write_bytes(encode(pixels, "PNG"))


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory) -> pathlib.Path:
    """40 good PNG files of 16x16 pixels in the classes "cat" and "dog"."""
    path = tmp_path_factory.mktemp("images")
    write_image_folder(path)
    return path


@pytest.fixture(scope="session")
def bad_folder(tmp_path_factory) -> ImageFolder:
    """Unusual and unusable files as in real folders, and 40 plain images; do not change it."""
    path = tmp_path_factory.mktemp("bad")
    write_image_folder(path)
    (path / "empty class").mkdir()
    good, bad = _odd_images(), _bad_images()
    for name, content in {**good, **{name: content for name, (content, _) in bad.items()}}.items():
        file = path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    plain = [str(file.relative_to(path)) for file in path.glob("*/[0-9]*.png")]
    return ImageFolder(
        path, tuple(sorted([*plain, *good])), {name: word for name, (_, word) in bad.items()}
    )


def _odd_images() -> dict[str, bytes]:
    """Relative path → an unusual image that is usable."""
    rotated = Image.Exif()
    rotated[0x0112] = 6
    deep = np.random.default_rng(2).integers(0, 2**16, (20, 30), dtype=np.uint16)
    frames = [Image.fromarray(make_pixels(seed)) for seed in (10, 11, 12)]
    return {
        "cat/modern.webp": encode(make_pixels(1), "WEBP", lossless=True),
        "cat/deep.png": encode(Image.fromarray(deep), "PNG"),
        "cat/print.jpg": encode(Image.fromarray(make_pixels(3)).convert("CMYK"), "JPEG"),
        "cat/upright.jpg": encode(make_pixels(4, 24, 40), "JPEG", exif=rotated),
        "dog/moving.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "dog/with some spaces.png": encode(make_pixels(5), "PNG"),
        "été 夏/ünïcode – 猫.png": encode(make_pixels(6), "PNG"),
        "été 夏/LOUD.JPG": encode(make_pixels(7), "JPEG"),
    }


def _bad_images() -> dict[str, tuple[bytes, str]]:
    """Relative path → the content of an unusable file, and a word of the reason."""
    photo = encode(make_pixels(8, 64, 64), "JPEG", quality=95)
    return {
        "cat/cut off.jpg": (photo[: len(photo) // 2], "truncated"),
        "cat/nothing.jpg": (b"", "empty"),
        "dog/words.jpg": (b"hello world, this is a text", "not an image"),
        "dog/dot.png": (encode(make_pixels(9, 1, 1), "PNG"), "1x1"),
        "dog/bomb.png": (make_bomb(), "pixels"),
    }


@pytest.fixture(scope="session")
def bad_csv(bad_folder, tmp_path_factory) -> pathlib.Path:
    """A CSV with a header that lists the files of `bad_folder` and one that does not exist."""
    names = [*bad_folder.good, *bad_folder.bad, "cat/not there.jpg"]
    rows = [f'"{bad_folder.path / name}",{name.split("/")[0]}' for name in names]
    path = tmp_path_factory.mktemp("csv") / "images.csv"
    path.write_text("\n".join(["path,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def one_class_folder(tmp_path_factory) -> pathlib.Path:
    """20 usable images of a single class."""
    path = tmp_path_factory.mktemp("one")
    write_image_folder(path, classes=("only",))
    return path


@pytest.fixture(scope="session")
def unusable_folder(tmp_path_factory) -> pathlib.Path:
    """Two classes of files that are images by name; none of them is usable."""
    path = tmp_path_factory.mktemp("unusable")
    for index in range(12):
        file = path / ("cat", "dog")[index % 2] / f"{index}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"" if index % 3 else b"no image")
    return path


@pytest.fixture(name="make_pixels")
def make_pixels_fixture():
    """The function `make_pixels(seed, height, width)`."""
    return make_pixels


@pytest.fixture(name="encode")
def encode_fixture():
    """The function `encode(image, image_format, **options)`."""
    return encode


@pytest.fixture(scope="session", name="write_image_folder")
def write_image_folder_fixture():
    """The function `write_image_folder(path, classes, per_class)`."""
    return write_image_folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> harness.Dataset:
    """Shards of the tiny dataset."""
    return harness.write_dataset(str(tmp_path_factory.mktemp("dataset")))


@pytest.fixture(scope="session")
def recipe() -> harness.recipes.Recipe:
    return harness.tiny_recipe()


@pytest.fixture
def assert_same_weights():
    return harness.assert_same_weights


@pytest.fixture
def pixels() -> np.ndarray:
    """Three images for `harness.TINY_MIXER`: uint8 [3, 12, 16, 3]."""
    return harness.make_images()
