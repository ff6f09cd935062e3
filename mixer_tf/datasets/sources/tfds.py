# SPDX-License-Identifier: Apache-2.0
"""Any image-classification dataset of TensorFlow Datasets that is prepared on this machine.

Nothing is downloaded, because without a network TFDS would retry silently for minutes. The error
for a missing dataset names the command that prepares it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import re
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.datasets import splits
from mixer_tf.datasets.files import file_signature, list_folder, make_record
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import SPLITS, TRAIN, ImageRecord

KIND = "tfds"
FORM = "tfds:NAME[:CONFIG]"
HELP = "any image-classification dataset of TFDS, prepared on this machine"

_INFO = "dataset_info.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A work item: the images of one TFDS shard that belong to one split.

    Attributes:
        tfds_split: name of the split in TFDS.
        index: index of the shard.
        first: index of its first image within the TFDS split.
        split: the split of the images to read.
    """

    tfds_split: str
    index: int
    first: int
    split: str


@dataclasses.dataclass(frozen=True)
class ShardReader:
    """Reads shards of a prepared dataset as encoded bytes, without decoding.

    Attributes:
        folder: folder of the prepared dataset.
        name: name of the dataset in the ids of the images.
        image_key: name of the image feature.
        label_key: name of the label feature.
        class_names: one name per label.
        rule: which training images are held out.
    """

    folder: str
    name: str
    image_key: str
    label_key: str
    class_names: tuple[str, ...]
    rule: splits.HoldOut

    def __call__(self, shard: Shard) -> Iterator[ImageRecord]:
        is_train = splits.ALIASES[shard.tfds_split.lower()] == TRAIN
        for number, example in enumerate(self._read(shard), start=shard.first):
            image_id = _image_id(self.name, shard.tfds_split, number)
            if not is_train or self.rule.split_for(image_id) == shard.split:
                yield self._make_record(example, image_id)

    def _read(self, shard: Shard) -> Iterator[dict]:
        import tensorflow_datasets as tfds

        return iter(
            _open_builder(self.folder)
            .as_dataset(
                split=f"{shard.tfds_split}[{shard.index}shard]",
                decoders=tfds.decode.PartialDecoding(
                    {self.image_key: True, self.label_key: True},
                    decoders={self.image_key: tfds.decode.SkipDecoding()},
                ),
                read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1),
            )
            .as_numpy_iterator()
        )

    def _make_record(self, example: dict, image_id: str) -> ImageRecord:
        label = int(example[self.label_key])
        if label < 0:  # TFDS marks the hidden labels of a test split by -1.
            return make_record(example[self.image_key], None, "", image_id)
        return make_record(example[self.image_key], label, self.class_names[label], image_id)


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Opens a prepared dataset; its own splits are kept, except test splits without labels.

    Raises:
        ValueError: TFDS is not installed, the dataset is not prepared, or its examples do not have
            one image with one class.
    """
    tfds = _import_tfds()
    folder = _find_prepared(location, data_dir or tfds.core.constants.DATA_DIR)
    builder = tfds.builder_from_directory(folder)
    image_key, label_key = _find_keys(builder.info)
    hidden = [name for name in builder.info.splits if _hides_labels(builder, name, label_key)]
    lengths = {
        name: info.shard_lengths
        for name, info in builder.info.splits.items()
        if name.lower() in splits.ALIASES and name not in hidden
    }
    if not lengths:
        raise ValueError(
            f"tfds: a dataset must have a split such as train or test; "
            f"{location} has {', '.join(builder.info.splits)}."
        )
    name = re.split("[:/]", location)[0]
    class_names = tuple(builder.info.features[label_key].names)
    rule = _hold_out(name, lengths)
    return Source(
        spec=spec,
        class_names=class_names,
        shards=_list_shards(lengths, rule),
        reader=ShardReader(folder, name, image_key, label_key, class_names, rule),
        file_signatures=lambda: [file_signature(os.path.join(folder, _INFO)), str(lengths)],
        notes=tuple(
            f"split '{name}' of {location} is not used" + (": no labels" if name in hidden else "")
            for name in builder.info.splits
            if name not in lengths
        ),
    )


def _hides_labels(builder, split: str, label_key: str) -> bool:
    """Whether the first image of an evaluation or test split has no label.

    Challenges often keep the labels of their test split secret.
    """
    import tensorflow_datasets as tfds

    alias = splits.ALIASES.get(split.lower())
    if alias in (None, TRAIN) or not builder.info.splits[split].num_examples:
        return False
    only_label = tfds.decode.PartialDecoding({label_key: True})
    first = builder.as_dataset(split=f"{split}[:1]", decoders=only_label).as_numpy_iterator()
    return all(int(example[label_key]) < 0 for example in first)


def _hold_out(name: str, lengths: dict[str, list[int]]) -> splits.HoldOut:
    train = next((split for split in lengths if splits.ALIASES[split.lower()] == TRAIN), None)
    if train is None:
        return splits.HoldOut(())
    ids = (_image_id(name, train, number) for number in range(sum(lengths[train])))
    return splits.hold_out(ids, {splits.ALIASES[split.lower()] for split in lengths})


def _list_shards(lengths: dict[str, list[int]], rule: splits.HoldOut) -> dict[str, list[Shard]]:
    shards = {split: [] for split in SPLITS}
    for name, shard_lengths in lengths.items():
        split = splits.ALIASES[name.lower()]
        held_out = [held for held, _ in rule.bounds] if split == TRAIN else []
        starts = itertools.accumulate(shard_lengths, initial=0)
        for index, (start, _) in enumerate(zip(starts, shard_lengths, strict=False)):
            for target in (split, *held_out):
                shards[target].append(Shard(name, index, start, target))
    return shards


def _find_keys(info) -> tuple[str, str]:
    """The names of the image feature and of the label feature."""
    from tensorflow_datasets import features

    def names_of(kind) -> list[str]:
        found = (name for name, feature in info.features.items() if isinstance(feature, kind))
        return sorted(found)

    images, labels = names_of(features.Image), names_of(features.ClassLabel)
    supervised = info.supervised_keys or ()
    if len(supervised) >= 2 and supervised[0] in images and supervised[1] in labels:
        return supervised[0], supervised[1]
    several = names_of(features.Sequence)
    if len(supervised) >= 2 and supervised[1] in several:
        raise ValueError(
            "tfds: each image must have one class; in "
            f"{info.full_name} the label {supervised[1]!r} may be several. Store the class of "
            "each image as a ClassLabel."
        )
    if len(images) == len(labels) == 1:
        return images[0], labels[0]
    raise ValueError(
        "tfds: a dataset must have one Image and one ClassLabel; "
        f"{info.full_name} has images {images} and labels {labels}; several values per image have "
        f"{several}."
    )


def _find_prepared(location: str, data_dir: str) -> str:
    """The folder of the newest prepared version of NAME, NAME:CONFIG or NAME/CONFIG."""
    name, *rest = re.split("[:/]", location)
    folder = os.path.join(os.path.expanduser(data_dir), name)
    for part in rest:
        folder = os.path.join(folder, part)
    if _VERSION.fullmatch(os.path.basename(folder)) and _is_prepared(folder):
        return folder
    versions = _prepared_versions(folder)
    if versions:
        return os.path.join(folder, versions[-1])
    configs = [config for config in _folders(folder) if _prepared_versions(f"{folder}/{config}")]
    if len(configs) == 1:
        return _find_prepared(f"{location}/{configs[0]}", data_dir)
    if configs:
        raise ValueError(
            f"tfds:{location} must name a configuration; prepared are {', '.join(configs)}. "
            f"Use tfds:{location}:{configs[0]}."
        )
    raise ValueError(_how_to_prepare("/".join([name, *rest]), data_dir))


def _how_to_prepare(name: str, data_dir: str) -> str:
    return (
        f"tfds:{name} must be prepared before it is used; it is not in {data_dir}. "
        "Prepare it once, with network access: python -c 'import tensorflow_datasets as tfds; "
        f'tfds.builder("{name}", data_dir="{data_dir}").download_and_prepare()\''
    )


def _prepared_versions(folder: str) -> list[str]:
    found = [name for name in _folders(folder) if _VERSION.fullmatch(name)]
    found = [name for name in found if _is_prepared(os.path.join(folder, name))]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def _folders(folder: str) -> list[str]:
    return list_folder(folder)[0] if storage.is_folder(folder) else []


def _is_prepared(folder: str) -> bool:
    return storage.exists(os.path.join(folder, _INFO))


def _image_id(name: str, tfds_split: str, number: int) -> str:
    return f"{name}/{tfds_split}/{number:07d}"


@functools.lru_cache(maxsize=8)
def _open_builder(folder: str):
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(folder)


def _import_tfds():
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ValueError(
            "a tfds: source needs TensorFlow Datasets, which is not installed. "
            "Install it with: pip install tensorflow-datasets"
        ) from error
    return tensorflow_datasets
