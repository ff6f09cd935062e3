# SPDX-License-Identifier: Apache-2.0
"""The features that a model computes for the images of a source, to be probed or compared.

The images are decoded and cropped as the authors' few-shot evaluation does: resized to a square,
256 pixels for a model of 224, of which the center is cropped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import factory, storage
from mixer_tf.checkpoints.published import KNOWN
from mixer_tf.datasets import validation
from mixer_tf.datasets.sources.source import Source
from mixer_tf.evaluation.fewshot import Features
from mixer_tf.export.loading import open_export
from mixer_tf.features import ImageRecord
from mixer_tf.images import UnusableImageError
from mixer_tf.images.preprocessing import decode_and_crop_all
from mixer_tf.messages import printable, without_credentials
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.prefetching import prefetched

CROP = "resize_crop"  # resize(256) and central_crop(224) of the authors
LAYER = "pre_logits"
BATCH_SIZE = 64
_VERSION = 1  # of the cached files
Progress = Callable[[int, int], None]
Row = tuple[str, int, np.ndarray]


class FeatureExtractor:
    """Computes the `pre_logits` of images.

    Args:
        model: a model with a square input, in float32.
        crop: a name in `preprocessing.CROPS`.

    Attributes:
        image_size: side of the model's input in pixels.
        crop: see above.
        dim: D, the number of features.
    """

    def __init__(self, model: ConfiguredModel, crop: str = CROP):
        self._model, self.crop = model, crop
        self.image_size = model.config.image_size[0]
        network = model.intermediates(LAYER)
        self.dim = int(network.output[LAYER].shape[-1])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def compute(encoded):
            images = decode_and_crop_all(encoded, crop, self.image_size)
            return network(images, training=False)[LAYER]

        self._compute = compute

    def __call__(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Returns the features of usable images, float32 [N, D].

        Args:
            encoded: images that `validation.check_record` accepts.
        """
        return self._compute(tf.constant(list(encoded), tf.string)).numpy()

    def digest(self) -> str:
        """Returns 64 hexadecimal digits that differ for other weights, models or crops."""
        config = {**self._model.get_config(), "name": "", "class": type(self._model).__name__}
        digest = hashlib.sha256(json.dumps([config, self.crop], default=str).encode())
        for weights in self._model.get_weights():
            digest.update(np.ascontiguousarray(weights).data)
        return digest.hexdigest()


def open_extractor(model: str, crop: str = CROP) -> FeatureExtractor:
    """Opens a model to compute features.

    Args:
        model: an export of mixer_tf, a folder that `locations.resolve_saved_model` knows, or the
            name of a published model such as "mixer_b16_imagenet21k".
        crop: a name in `preprocessing.CROPS`.

    Raises:
        ValueError: there is no such model.
        DownloadError: a published model cannot be downloaded.
    """
    if model in KNOWN and not storage.exists(model):
        return FeatureExtractor(factory.from_preset(model, dtype="float32"), crop)
    return FeatureExtractor(open_export(model).model, crop)


@dataclasses.dataclass(frozen=True)
class SourceFeatures:
    """The features of the usable images of some splits, in the order of their paths or ids.

    Attributes:
        features: values [N, D] and labels [N] of the source.
        problems: (path, reason) of each image that could not be used.
    """

    features: Features
    problems: tuple[tuple[str, str], ...]


def read_features(
    extractor: FeatureExtractor,
    source: Source,
    splits: Sequence[str],
    *,
    cache: str | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> SourceFeatures:
    """Computes the features of all usable images of some splits, or reads them from a cache.

    Args:
        extractor: the model.
        source: an open source.
        splits: names of splits of the source.
        cache: folder of the cached features, which are those of this model, this crop and these
            data as they are now; None for none.
        batch_size: number of images in one call of the model.
        progress: called after each batch with the numbers of finished and of all images, or of
            work items where the source does not know its images.
    """
    path = cache and os.path.join(cache, f"features-{_key(extractor, source, splits)}.npz")
    if path and storage.exists(path):
        return _load(path)
    rows, problems = extract(extractor, _records(source, splits, progress), batch_size)
    found = SourceFeatures(in_order(rows, extractor.dim), tuple(problems))
    if path:
        _save(found, path)
    return found


def extract(
    extractor: FeatureExtractor, records: Iterable[ImageRecord], batch_size: int = BATCH_SIZE
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Computes the features of records.

    Returns:
        ((path or id, label, features [D]) of each usable image; (path, reason) of the others).
    """
    rows: list[Row] = []
    problems: list[tuple[str, str]] = []

    def add_problem(record: ImageRecord, error: UnusableImageError) -> None:
        problems.append((printable(without_credentials(record.source)), str(error)))

    usable = validation.usable_records(records, add_problem)
    for batch in prefetched(_batched(usable, batch_size)):
        values = extractor([record.encoded for record in batch])
        rows += [(r.source, r.label, row) for r, row in zip(batch, values, strict=True)]
    return rows, problems


def in_order(rows: Iterable[Row], dim: int) -> Features:
    """Returns the features sorted by the path or id of their images.

    For a TFDS dataset, that is the order of its files, in which the authors draw their shots.

    Args:
        rows: (path or id, label, features [D]) of each image, in any order.
        dim: D.
    """
    rows = sorted(rows, key=lambda row: row[:2])
    values = np.array([row[2] for row in rows], np.float32).reshape(-1, dim)
    return Features(values, np.array([row[1] for row in rows], np.int64))


def _batched(records: Iterable[ImageRecord], size: int) -> Iterator[list[ImageRecord]]:
    records = iter(records)
    while batch := list(itertools.islice(records, size)):
        yield batch


def _records(source: Source, splits: Sequence[str], progress: Progress | None):
    items = [item for split in splits for item in source.shards_of(split)]
    sizes = [1] * len(items)
    by_image = source.image_ids is not None
    if by_image:
        sizes = [sum(1 for _ in source.ids(item)) for item in items]
    total, done = sum(sizes), 0
    for item, size in zip(items, sizes, strict=True):
        for number, record in enumerate(source.read(item), 1):
            if progress and by_image and number % BATCH_SIZE == 0:
                progress(done + min(number, size), total)
            yield record
        done += size
        if progress:
            progress(done, total)


def _key(extractor: FeatureExtractor, source: Source, splits: Sequence[str]) -> str:
    data = [source.spec, source.fingerprint(), list(splits), list(source.class_names)]
    text = json.dumps([_VERSION, extractor.digest(), *data])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _save(found: SourceFeatures, path: str) -> None:
    arrays = {"values": found.features.values, "labels": found.features.labels}
    file = io.BytesIO()
    np.savez(file, **arrays, problems=np.array(json.dumps(found.problems)))
    storage.make_folder(os.path.dirname(path))
    storage.write_bytes(path, file.getvalue())


def _load(path: str) -> SourceFeatures:
    try:
        with np.load(io.BytesIO(storage.read_bytes(path)), allow_pickle=False) as arrays:
            features = Features(arrays["values"], arrays["labels"])
            problems = json.loads(str(arrays["problems"]))
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"cached features must be complete; {path} is not: {error}. Remove the file."
        ) from None
    return SourceFeatures(features, tuple((name, reason) for name, reason in problems))
