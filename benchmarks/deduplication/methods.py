# SPDX-License-Identifier: Apache-2.0
"""Our method, and perceptual hashes of other libraries as far as they are installed."""

from __future__ import annotations

import importlib.util
import io
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from mixer_tf import images
from mixer_tf.deduplication.fingerprints import fingerprint
from mixer_tf.deduplication.gallery import find_in_gallery, make_gallery
from mixer_tf.features import ImageRecord

# Pairs (index of a query, index in the gallery) that are duplicates.
Pairs = set[tuple[int, int]]
Method = Callable[[Sequence[bytes], Sequence[bytes]], Pairs]


def list_methods() -> dict[str, Method]:
    """Returns name → method; the distances of the hashes are those that their authors recommend.

    imagededup's PHash is the 64-bit hash of imagehash with the same distance, and requires PyTorch.
    """
    methods: dict[str, Method] = {"mixer_tf": _find_ours}
    if importlib.util.find_spec("imagehash"):
        methods["pHash 64, equal (as cleanvision)"] = lambda *sets: _by_hash(_phash(8), 0, *sets)
        methods["pHash 64, distance 10"] = lambda *sets: _by_hash(_phash(8), 10, *sets)
        methods["pHash 256, distance 40"] = lambda *sets: _by_hash(_phash(16), 40, *sets)
    if importlib.util.find_spec("pdqhash"):
        methods["PDQ 256, distance 31"] = lambda *sets: _by_hash(_pdq, 31, *sets)
    if importlib.util.find_spec("data_doctor"):
        methods["vision-data-doctor"] = _find_by_data_doctor
    return methods


def _find_ours(queries: Sequence[bytes], gallery: Sequence[bytes]) -> Pairs:
    opened = make_gallery(fingerprint(make_records(gallery), "test"))
    return {
        (int(match.image.source), int(match.other.source))
        for part in fingerprint(make_records(queries), "train")
        for match in find_in_gallery(part, opened)
    }


def make_records(encoded: Iterable[bytes]) -> Iterator[ImageRecord]:
    """Yields records of encoded images, whose sources are their indices."""
    for index, each in enumerate(encoded):
        header = images.read_header(each)
        yield ImageRecord(
            encoded=each,
            label=0,
            class_name="",
            source=str(index),
            width=header.width,
            height=header.height,
            format=header.format,
        )


def _by_hash(
    make_hash: Callable[[Image.Image], np.ndarray],
    distance: int,
    queries: Sequence[bytes],
    gallery: Sequence[bytes],
) -> Pairs:
    first, second = (
        np.stack([make_hash(Image.open(io.BytesIO(each)).convert("RGB")) for each in encoded])
        for encoded in (queries, gallery)
    )
    distances = (first[:, None] != second[None]).sum(-1)
    return set(zip(*map(np.ndarray.tolist, np.nonzero(distances <= distance)), strict=True))


def _find_by_data_doctor(queries: Sequence[bytes], gallery: Sequence[bytes]) -> Pairs:
    """The most similar image of the gallery for each query; the library reports no others."""
    from data_doctor.leakage import check_leakage

    with tempfile.TemporaryDirectory() as folder:
        roots = []
        for name, encoded in (("queries", queries), ("gallery", gallery)):
            roots.append(pathlib.Path(folder, name))
            roots[-1].mkdir()
            for index, each in enumerate(encoded):
                suffix = images.read_header(each).format.lower()
                (roots[-1] / f"{index}.{suffix}").write_bytes(each)
        found = check_leakage(train_root=roots[1], val_root=roots[0])
    leaks = found.exact_leaks + found.near_leaks
    return {(_index(leak["val"]), _index(leak["train"])) for leak in leaks}


def _index(file: str) -> int:
    return int(pathlib.PurePath(file).stem)


def _phash(size: int) -> Callable[[Image.Image], np.ndarray]:
    import imagehash

    return lambda image: imagehash.phash(image, hash_size=size).hash.reshape(-1)


def _pdq(image: Image.Image) -> np.ndarray:
    import pdqhash

    return pdqhash.compute(np.asarray(image))[0].astype(bool)
