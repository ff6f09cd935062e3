# SPDX-License-Identifier: Apache-2.0
"""Any image-classification dataset of TensorFlow Datasets that is prepared on this machine.

Nothing is downloaded, because without a network TFDS would retry silently for minutes. The error
for a missing dataset names the command that prepares it.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.datasets import splits
from mixer_tf.datasets.files import file_signature, list_folder, make_record
from mixer_tf.datasets.sources import tfds_examples, tfds_features, tfds_splits
from mixer_tf.datasets.sources.source import Source
from mixer_tf.datasets.sources.tfds_features import Keys
from mixer_tf.datasets.sources.tfds_splits import Range
from mixer_tf.features import SPLITS, TRAIN, ImageRecord

KIND = "tfds"
FORM = "tfds:NAME[:CONFIG]"
HELP = "any image-classification dataset of TFDS, prepared on this machine"
FILE_NAME = "file_name"  # the feature with the name of an image's file, in some datasets

_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A work item: the images of one TFDS shard that belong to one split.

    Attributes:
        tfds_split: name of the split in TFDS.
        first, end: the images first ≤ index < end of the TFDS split, which are in one shard.
        split: the split of the images to read.
    """

    tfds_split: str
    first: int
    end: int
    split: str


@dataclasses.dataclass(frozen=True)
class ShardReader:
    """Reads shards of a prepared dataset as encoded bytes, without decoding.

    Attributes:
        folder: folder of the prepared dataset.
        name: name of the dataset in the ids of the images.
        keys: names of the features that are read.
        class_names: one name per label.
        rule: which training images are held out.
    """

    folder: str
    name: str
    keys: Keys
    class_names: tuple[str, ...]
    rule: splits.HoldOut

    def __call__(self, shard: Shard) -> Iterator[ImageRecord]:
        builder = tfds_examples.open_builder(self.folder)
        part = f"{shard.tfds_split}[{shard.first}:{shard.end}]"
        found = tfds_examples.read(builder, part, self.keys)
        try:
            for number, (encoded, label, path) in enumerate(found, start=shard.first):
                image_id = _image_id(self.name, shard.tfds_split, number)
                if not self._is_from_train(shard) or self.rule.split_for(image_id) == shard.split:
                    yield self._make_record(encoded, label, path or image_id)
        except tfds_examples.UnreadableError as error:
            if not self._is_from_train(shard) or shard.split == TRAIN:
                yield _unreadable(f"{self.name}/{part}", error)

    def image_ids(self, shard: Shard) -> Iterator[str]:
        """Yields the ids of the images of a work item; nothing is read."""
        for number in range(shard.first, shard.end):
            image_id = _image_id(self.name, shard.tfds_split, number)
            if not self._is_from_train(shard) or self.rule.split_for(image_id) == shard.split:
                yield image_id

    def _is_from_train(self, shard: Shard) -> bool:
        """Whether the rule divides the images of a work item."""
        return shard.split in (TRAIN, *dict(self.rule.bounds))

    def _make_record(self, encoded: bytes, label: int, image_id: str) -> ImageRecord:
        if label < 0:  # TFDS marks the hidden labels of a test split by -1.
            return make_record(encoded, None, "", image_id)
        return make_record(encoded, label, self.class_names[label], image_id)


def _unreadable(name: str, error: Exception) -> ImageRecord:
    """What stands for the rest of a shard that cannot be read."""
    return ImageRecord(b"", "", None, "", name, 0, 0, f"the rest of the shard is corrupt: {error}")


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Opens a prepared dataset; its own splits are kept, except test splits without labels.

    The specification may state splits: "tfds+eval=train[98%:]:cifar10", see `tfds_splits`.

    Raises:
        ValueError: TFDS is not installed, the dataset is not prepared, or its examples do not have
            one image with one class; or it does not have the stated splits.
    """
    stated = tfds_splits.stated_in(spec)
    tfds = import_tfds()
    folder = _find_prepared(location, data_dir or tfds.core.constants.DATA_DIR)
    builder = tfds_examples.open_builder(folder)
    keys = tfds_features.find_keys(builder.info)
    infos = builder.info.splits
    hidden = [name for name in infos if _hides_labels(builder, name, keys)]
    own = {
        splits.ALIASES[name.lower()]: name
        for name in infos
        if name.lower() in splits.ALIASES and name not in hidden
    }
    if not own and not stated:
        raise ValueError(
            f"tfds: a dataset must have a split such as train or test; "
            f"{location} has {', '.join(infos)}."
        )
    ranges = tfds_splits.resolve(stated, own, infos)
    name = re.split("[:/]", location)[0]
    class_names = tuple(builder.info.features[keys.label].names)
    rule = _hold_out(name, ranges)
    lengths = {name: infos[name].shard_lengths for name in infos}
    used = {part.tfds_split for parts in ranges.values() for part in parts}
    reader = ShardReader(folder, name, keys, class_names, rule)
    return Source(
        spec=spec,
        class_names=class_names,
        shards=_list_shards(ranges, lengths, rule),
        reader=reader,
        # Where the images have paths, these name them.
        image_ids=None if keys.path else reader.image_ids,
        file_signatures=lambda: [
            file_signature(os.path.join(folder, tfds_examples.INFO)),
            str({name: lengths[name] for name in lengths if name in used}),
        ],
        notes=(*keys.notes, *_notes_of_unused(location, infos, used, hidden)),
        data_dir=data_dir,
    )


def with_splits(spec: str, stated: str) -> str:
    """Returns the specification of a TFDS dataset whose splits are stated.

    Args:
        spec: "tfds:NAME[:CONFIG]".
        stated: see `tfds_splits.parse`.

    Raises:
        ValueError: it is another kind of source, or the splits have another form.
    """
    kind, _, location = spec.partition(":")
    if kind != KIND:
        raise ValueError(f"--splits applies to {FORM} only; got the source {spec!r}.")
    tfds_splits.parse(stated)
    return f"{KIND}+{stated}:{location}"


def with_file_names(source: Source) -> Source:
    """Returns the source with the images named by the feature `file_name`, as ImageNet has it.

    Otherwise their ids are positions in the files of TFDS. It is the same source if it is of
    another kind, or the dataset has no such feature.
    """
    reader = source.reader
    if not isinstance(reader, ShardReader) or reader.keys.path:
        return source
    if FILE_NAME not in tfds_examples.open_builder(reader.folder).info.features:
        return source
    keys = dataclasses.replace(reader.keys, path=FILE_NAME)
    return dataclasses.replace(
        source, reader=dataclasses.replace(reader, keys=keys), image_ids=None
    )


def _notes_of_unused(location: str, found, used, hidden) -> Iterator[str]:
    for name in found:
        if name not in used:
            reason = ": no labels" if name in hidden else ""
            yield f"split '{name}' of {location} is not used{reason}"


def _hides_labels(builder, split: str, keys: Keys) -> bool:
    """Whether the first image of an evaluation or test split has no label.

    Challenges often keep the labels of their test split secret.
    """
    alias = splits.ALIASES.get(split.lower())
    if alias in (None, TRAIN) or not builder.info.splits[split].num_examples:
        return False
    try:
        first = tfds_examples.read(builder, f"{split}[:1]", keys)
        return all(label < 0 for _, label, _ in first)
    except tfds_examples.UnreadableError:
        return False


def _hold_out(name: str, ranges: dict[str, list[Range]]) -> splits.HoldOut:
    if TRAIN not in ranges:
        return splits.HoldOut(())
    ids = (
        _image_id(name, part.tfds_split, number)
        for part in ranges[TRAIN]
        for number in range(part.first, part.end)
    )
    return splits.hold_out(ids, ranges)


def _list_shards(
    ranges: dict[str, list[Range]], lengths: dict[str, list[int]], rule: splits.HoldOut
) -> dict[str, list[Shard]]:
    shards = {split: [] for split in SPLITS}
    for split, parts in ranges.items():
        targets = (split, *dict(rule.bounds)) if split == TRAIN else (split,)
        for part in parts:
            for piece in tfds_splits.cut(part, lengths[part.tfds_split]):
                for target in targets:
                    shards[target].append(Shard(*dataclasses.astuple(piece), target))
    return shards


def _find_prepared(location: str, data_dir: str) -> str:
    """The folder of the newest prepared version of NAME, NAME:CONFIG or NAME/CONFIG."""
    name, *rest = re.split("[:/]", location)
    folder = os.path.join(os.path.expanduser(data_dir), name)
    for part in rest:
        folder = os.path.join(folder, part)
    if _VERSION.fullmatch(os.path.basename(folder)) and _is_prepared(folder):
        return folder
    if newest := newest_version(folder):
        return newest
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
    command = f"mixer data build tfds:{name.replace('/', ':')} --download --data-dir={data_dir}"
    return (
        f"tfds:{name} must be prepared before it is used; it is not in {data_dir}. "
        f"Prepare it once, with network access: {command}"
    )


def newest_version(folder: str) -> str | None:
    """Returns the folder of the newest prepared version below that of a dataset, or None."""
    versions = _prepared_versions(folder)
    return os.path.join(folder, versions[-1]) if versions else None


def _prepared_versions(folder: str) -> list[str]:
    found = [name for name in _folders(folder) if _VERSION.fullmatch(name)]
    found = [name for name in found if _is_prepared(os.path.join(folder, name))]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def _folders(folder: str) -> list[str]:
    return list_folder(folder)[0] if storage.is_folder(folder) else []


def _is_prepared(folder: str) -> bool:
    return storage.exists(os.path.join(folder, tfds_examples.INFO))


def _image_id(name: str, tfds_split: str, number: int) -> str:
    return f"{name}/{tfds_split}/{number:07d}"


def import_tfds():
    """Imports TensorFlow Datasets.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ValueError(
            "a tfds: source needs TensorFlow Datasets, which is not installed. "
            "Install it with: pip install tensorflow-datasets"
        ) from error
    return tensorflow_datasets
