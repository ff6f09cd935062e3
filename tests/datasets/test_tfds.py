# SPDX-License-Identifier: Apache-2.0
import io
import pathlib
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from mixer_tf import features
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources import tfds as tfds_source
from mixer_tf.datasets.sources.source import Source

PIXELS = {
    index: np.random.default_rng(index).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    for index in range(40)
}


class TinyPets(tfds.core.GeneratorBasedBuilder):
    """40 training images, 8 validation images, 3 that are neither; text beside the labels."""

    VERSION = tfds.core.Version("1.10.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="small"), tfds.core.BuilderConfig(name="big")]

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                    "kind": tfds.features.ClassLabel(num_classes=5),
                    "remark": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {name: self._make(n) for name, n in (("train", 40), ("validation", 8), ("extra", 3))}

    def _make(self, number: int):
        for index in range(number):
            label = -1 if index == 7 else index % 2
            example = {"image": PIXELS[index], "label": label, "kind": 0, "remark": str(index)}
            yield index, example

    def _generate_examples(self):
        raise NotImplementedError


class NoClasses(tfds.core.GeneratorBasedBuilder):
    """Two images per example, and no class."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(8, 9, 3))
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"left": image, "right": image}),
        )

    def _split_generators(self, dl_manager):
        return {"train": iter([(0, {"left": PIXELS[0], "right": PIXELS[1]})])}

    def _generate_examples(self):
        raise NotImplementedError


class ManyLabels(tfds.core.GeneratorBasedBuilder):
    """Several labels per image, which are the supervised ones, and one class of another kind."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="supervised"),
        tfds.core.BuilderConfig(name="neither"),
    ]

    def _info(self):
        label = tfds.features.ClassLabel(names=["cat", "dog"])
        kinds = {
            "image": tfds.features.Image(shape=(8, 9, 3)),
            "labels": tfds.features.Sequence(label),
        }
        is_supervised = self.builder_config.name == "supervised"
        if is_supervised:
            kinds["camera"] = tfds.features.ClassLabel(names=["old", "new"])
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(kinds),
            supervised_keys=("image", "labels") if is_supervised else None,
        )

    def _split_generators(self, dl_manager):
        example = {"image": PIXELS[0], "labels": [0, 1], "camera": 0}
        kinds = self.info.features
        return {"train": iter([(0, {key: example[key] for key in kinds})])}

    def _generate_examples(self):
        raise NotImplementedError


class Kinds(tfds.core.GeneratorBasedBuilder):
    """12 examples, whose image has another kind in each configuration."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=name)
        for name in ("float", "uint16", "gray", "mask", "tensor", "frames")
    ]

    def _info(self):
        image = tfds.features.Image(shape=(8, 9, 3))
        kinds = {
            "float": {"image": tfds.features.Image(shape=(8, 9, 1), dtype=np.float32)},
            "uint16": {
                "image": tfds.features.Image(
                    shape=(8, 9, 3), dtype=np.uint16, encoding_format="png"
                )
            },
            "gray": {"image": tfds.features.Image(shape=(8, 9, 1))},
            "mask": {
                "image": image,
                "mask": tfds.features.LabeledImage(labels=3, shape=(8, 9, 1)),
            },
            "tensor": {"image": tfds.features.Tensor(shape=(8, 9, 3), dtype=np.uint8)},
            "frames": {"image": tfds.features.Sequence(image)},
        }[self.builder_config.name]
        label = tfds.features.ClassLabel(names=["cat", "dog"])
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({**kinds, "label": label}),
            supervised_keys=("image", "mask" if "mask" in kinds else "label"),
        )

    def image(self, index: int):
        pixels = PIXELS[index]
        return {
            "float": np.float32(pixels[..., :1] / 255),
            "uint16": np.uint16(pixels) * 257,
            "gray": pixels[..., :1],
            "frames": [pixels, pixels],
        }.get(self.builder_config.name, pixels)

    def _split_generators(self, dl_manager):
        def example(index: int) -> dict:
            found = {"image": self.image(index), "label": index % 2}
            if "mask" in self.info.features:
                found["mask"] = PIXELS[index][..., :1] % 3
            return found

        return {"train": ((index, example(index)) for index in range(12))}

    def _generate_examples(self):
        raise NotImplementedError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> str:
    """Prepared: tiny_pets/small in three shards, tiny_pets/big, no_classes."""
    path = str(tmp_path_factory.mktemp("tfds"))
    three_shards = tfds.download.DownloadConfig(num_shards=3)
    for config in ("small", "big"):
        builder = TinyPets(config=config, data_dir=path)
        builder.download_and_prepare(download_config=three_shards)
    NoClasses(data_dir=path).download_and_prepare()
    return path


def read(source: Source) -> dict[str, list[features.ImageRecord]]:
    return {
        split: [record for shard in source.shards_of(split) for record in source.read(shard)]
        for split in source.splits
    }


@pytest.mark.parametrize("spec", ["tfds:tiny_pets:small", "tfds:tiny_pets/small"])
def test_given_splits_are_kept_and_a_missing_one_is_held_out(data_dir, spec):
    source = opening.open_source(spec, data_dir)
    assert source.class_names == ("cat", "dog")
    assert source.splits == ("train", "eval", "test")
    assert source.notes == (f"split 'extra' of {spec[5:]} is not used",)
    counts = {split: len(found) for split, found in read(source).items()}
    assert counts["eval"] == 8
    assert counts["train"] + counts["test"] == 40
    assert counts["test"] >= 1


def test_every_image_is_read_once_with_its_bytes_and_label(data_dir):
    source = opening.open_source("tfds:tiny_pets:small", data_dir)
    assert source.data_dir == data_dir
    records = read(source)
    records = records["train"] + records["test"]
    assert sorted(r.source for r in records) == [f"tiny_pets/train/{i:07d}" for i in range(40)]
    expected = {PIXELS[index].tobytes(): index for index in PIXELS}
    for record in records:
        index = expected[np.asarray(Image.open(io.BytesIO(record.encoded))).tobytes()]
        assert record.label == (None if index == 7 else index % 2)
        assert record.class_name == ("" if index == 7 else ("cat", "dog")[index % 2])
        assert (record.format, record.width, record.height) == ("PNG", 9, 8)


def test_each_work_item_is_one_shard(data_dir):
    source = opening.open_source("tfds:tiny_pets:small", data_dir)
    assert len(source.shards_of("train")) == len(source.shards_of("eval")) == 3


def test_one_of_several_configurations_must_be_named(data_dir):
    with pytest.raises(ValueError, match="prepared are big, small. Use tfds:tiny_pets:big"):
        opening.open_source("tfds:tiny_pets", data_dir)


def test_the_newest_version_is_read_unless_one_is_named(data_dir, tmp_path):
    small = pathlib.Path(data_dir) / "tiny_pets/small/1.10.0"
    for version in ("1.10.0", "1.9.0"):
        target = tmp_path / "tiny_pets/small" / version
        target.mkdir(parents=True)
        for file in small.iterdir():
            (target / file.name).write_bytes(file.read_bytes())
    newest = opening.open_source("tfds:tiny_pets", str(tmp_path))
    named = opening.open_source("tfds:tiny_pets:small/1.9.0", str(tmp_path))
    assert newest.reader.folder.endswith("1.10.0")
    assert named.reader.folder.endswith("1.9.0")
    assert newest.fingerprint() != named.fingerprint()


def test_the_error_for_a_missing_dataset_names_the_command_at_once(tmp_path):
    started = time.monotonic()
    with pytest.raises(ValueError, match="build tfds:mnist --download --data-dir="):
        opening.open_source("tfds:mnist", str(tmp_path))
    assert time.monotonic() - started < 5


def test_a_dataset_without_classes_is_an_error(data_dir):
    with pytest.raises(ValueError, match=r"one Image and one ClassLabel; .*\['left', 'right'\]"):
        opening.open_source("tfds:no_classes", data_dir)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("supervised", "each example must have one class; .* the feature 'labels' may be several"),
        ("neither", r"one Image and one ClassLabel; .* image: Image, labels: Sequence"),
    ],
)
def test_several_classes_per_image_are_an_error(tmp_path, config, message):
    ManyLabels(config=config, data_dir=str(tmp_path)).download_and_prepare()
    with pytest.raises(ValueError, match=message):
        opening.open_source(f"tfds:many_labels:{config}", str(tmp_path))


def test_a_folder_stored_by_tfds_is_read(image_folder, tmp_path):
    for split in ("train", "test"):
        (tmp_path / "in" / split).mkdir(parents=True)
        for name in ("cat", "dog"):
            (tmp_path / "in" / split / name).symlink_to(image_folder / name)
    folder = tfds.ImageFolder(str(tmp_path / "in"))
    tfds.dataset_builders.store_as_tfds_dataset(
        name="stored",
        version="1.0.0",
        features=folder.info.features,
        split_datasets={name: folder.as_dataset(name) for name in ("train", "test")},
        data_dir=str(tmp_path / "out"),
    )
    source = opening.open_source("tfds:stored", str(tmp_path / "out"))
    assert source.class_names == ("cat", "dog")
    counts = {split: len(found) for split, found in read(source).items()}
    assert counts["test"] == 40
    assert counts["train"] + counts["eval"] == 40


class Challenge(tfds.core.GeneratorBasedBuilder):
    """20 training images, and 5 test images with secret labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.ClassLabel(names=["cat", "dog"])
        kinds = {"image": tfds.features.Image(encoding_format="png"), "label": label}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(kinds))

    def _split_generators(self, dl_manager):
        images = {
            "train": ((n, {"image": PIXELS[n], "label": n % 2}) for n in range(20)),
            "test": ((n, {"image": PIXELS[20 + n], "label": -1}) for n in range(5)),
        }
        return {split: iter(examples) for split, examples in images.items()}

    def _generate_examples(self):
        raise NotImplementedError


def test_a_test_split_without_labels_is_ignored_and_another_is_held_out(tmp_path):
    Challenge(data_dir=str(tmp_path)).download_and_prepare()
    source = opening.open_source("tfds:challenge", str(tmp_path))
    assert source.notes == ("split 'test' of challenge is not used: no labels",)
    records = read(source)
    assert sum(map(len, records.values())) == 20
    assert records["test"] and all(r.label is not None for r in records["test"])


@pytest.mark.parametrize("file_format", ["array_record", "parquet"])
def test_every_file_format_gives_the_same_records(data_dir, tmp_path, file_format):
    builder = TinyPets(config="small", data_dir=str(tmp_path))
    builder.download_and_prepare(
        file_format=file_format, download_config=tfds.download.DownloadConfig(num_shards=3)
    )
    source = opening.open_source("tfds:tiny_pets:small", str(tmp_path))
    expected = opening.open_source("tfds:tiny_pets:small", data_dir)
    assert read(source) == read(expected)
    assert (source.class_names, source.notes) == (expected.class_names, expected.notes)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_what_a_corrupt_or_missing_shard_holds_is_a_record_with_a_problem(tmp_path, file_format):
    builder = Challenge(data_dir=str(tmp_path))
    builder.download_and_prepare(
        file_format=file_format, download_config=tfds.download.DownloadConfig(num_shards=2)
    )
    source = opening.open_source("tfds:challenge", str(tmp_path))
    for index in range(2):
        (shard,) = pathlib.Path(builder.data_dir).glob(f"*train*-0000{index}-of-*")
        shard.write_bytes(shard.read_bytes()[:900]) if index else shard.unlink()
    records = read(source)
    problems = [record for record in records["train"] if record.problem]
    assert [record.source for record in problems] == [
        "challenge/train[0:10]",
        "challenge/train[10:20]",
    ]
    assert all("the rest of the shard is corrupt: " in record.problem for record in problems)


def test_a_shard_with_fewer_examples_than_stated_is_a_record_with_a_problem(tmp_path):
    builder = Challenge(data_dir=str(tmp_path))
    builder.download_and_prepare()
    source = opening.open_source("tfds:challenge", str(tmp_path))
    (shard,) = pathlib.Path(builder.data_dir).glob("*-train.*")
    examples = list(tf.data.TFRecordDataset(str(shard)).take(15).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for example in examples:
            writer.write(example)
    problems = [record.problem for record in read(source)["train"] if record.problem]
    assert problems == [
        "the rest of the shard is corrupt: Input dataset was expected to contain 20 elements but "
        "contained only 15 elements."
    ]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("float", "must have the dtype uint8 or uint16; .* the dtype of 'image' is float32"),
        ("tensor", "must have one Image and one ClassLabel; .* image: Tensor"),
        ("frames", "must have one image; .* the feature 'image' may be several"),
    ],
)
def test_a_feature_that_is_not_one_image_is_an_error(tmp_path, config, message):
    Kinds(config=config, data_dir=str(tmp_path)).download_and_prepare()
    with pytest.raises(ValueError, match=message):
        opening.open_source(f"tfds:kinds:{config}", str(tmp_path))


@pytest.mark.parametrize("config", ["uint16", "gray", "mask"])
def test_the_values_of_other_kinds_of_images_are_right(tmp_path, config):
    builder = Kinds(config=config, data_dir=str(tmp_path))
    builder.download_and_prepare()
    source = opening.open_source(f"tfds:kinds:{config}", str(tmp_path))
    records = read(source)
    note = "the class is 'label', the only ClassLabel; 'mask' is not a class"
    assert source.notes == ((note,) if config == "mask" else ())
    images = [tf.io.decode_image(r.encoded, 3).numpy().tobytes() for r in sum(records.values(), [])]
    channels = 1 if config == "gray" else 3
    expected = [np.broadcast_to(PIXELS[i][..., :channels], (8, 9, 3)) for i in range(12)]
    assert sorted(images) == sorted(pixels.tobytes() for pixels in expected)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "dataset_info.json",
            "array_record",
            "riegeli",
            "must be one of .*has 'riegeli'.*tfrecord",
        ),
        ("dataset_info.json", "array_record", "bagz", "must be one of tfrecord, .*has 'bagz'"),
        ("dataset_info.json", "{", "", "must be JSON"),
        ("features.json", "{", "", "must be complete; .*Delete the folder"),
    ],
)
def test_what_cannot_be_opened_is_one_clear_error(tmp_path, name, old, new, message):
    builder = Challenge(data_dir=str(tmp_path))
    builder.download_and_prepare(file_format="array_record")
    path = pathlib.Path(builder.data_dir) / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        opening.open_source("tfds:challenge", str(tmp_path))


def indices(source: Source) -> dict[str, list[tuple[str, int]]]:
    """Split → (split in TFDS, index) of each image, in order."""
    return {
        split: [(name.split("/")[1], int(name.split("/")[2])) for name in sorted(names)]
        for split, found in read(source).items()
        if (names := [record.source for record in found])
    }


@pytest.mark.parametrize(
    ("stated", "train", "evaluation", "test"),
    [
        ("eval=train[90%:],test=validation", (0, 36), (36, 40), 8),  # the paper's, for Pets
        ("eval=train[98%:],test=validation[:50%]", (0, 39), (39, 40), 4),
        ("test=validation,train=train[:10],eval=train[30:]", (0, 10), (30, 40), 8),
        ("eval=train[20:30],test=validation", None, (20, 30), 8),
    ],
)
def test_stated_splits_are_those_of_tfds(data_dir, stated, train, evaluation, test):
    found = indices(opening.open_source(f"tfds+{stated}:tiny_pets:small", data_dir))
    rest = [*range(20), *range(30, 40)]
    assert found["train"] == [("train", i) for i in (range(*train) if train else rest)]
    assert found["eval"] == [("train", i) for i in range(*evaluation)]
    assert found["test"] == [("validation", i) for i in range(test)]


def test_stated_splits_may_join_parts_and_a_missing_split_is_held_out(data_dir):
    spec = "tfds+eval=train[:3]+validation[6:]:tiny_pets:small"
    found = indices(opening.open_source(spec, data_dir))
    assert found["eval"] == [
        *(("train", i) for i in range(3)),
        *(("validation", i) for i in (6, 7)),
    ]
    assert sorted(found["train"] + found["test"]) == [("train", i) for i in range(3, 40)]
    assert found["test"]


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("eval", "must be SPLIT=TFDS_SPLIT"),
        ("val=train[90%:]", "each of train, eval, test at most once"),
        ("eval=train[:5],eval=train[5:]", "at most once"),
        ("eval=trian[90%:]", "has train, validation, extra; got eval=trian.*Did you mean train"),
        ("eval=train[9x:]", r"as TFDS does, such as train\[98%:\]; got eval=train\[9x:\]"),
        ("eval=train[90:]", r"must have images; eval=train\[90:\] has none|got eval=train\[90:\]"),
        ("eval=train[:50%],test=train[40%:]", "must not share images; those of eval and test do"),
        ("eval=train[:50%],test=train[50%:]", "must leave images to train on"),
        ("eval=train[90%:", "must close its brackets"),
    ],
)
def test_stated_splits_that_cannot_be_are_one_clear_error(data_dir, stated, message):
    with pytest.raises(ValueError, match=message):
        opening.open_source(f"tfds+{stated}:tiny_pets:small", data_dir)


def test_splits_are_stated_for_tfds_only():
    with pytest.raises(ValueError, match="--splits applies to tfds:NAME"):
        tfds_source.with_splits("folder:pets", "eval=train[98%:]")
    stated = tfds_source.with_splits("tfds:cifar10", "eval=train[98%:]")
    assert stated == "tfds+eval=train[98%:]:cifar10"
    assert opening.parse(stated) == ("tfds", "cifar10")


class NamedFiles(tfds.core.GeneratorBasedBuilder):
    """Images with the names of their files, as in imagenet2012; their order is another one."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=["n01440764", "n01443537"]),
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._make("train"), "validation": self._make("val")}

    def _make(self, split: str):
        for index in range(12):
            name = f"ILSVRC2012_{split}_{index + 1:08d}.JPEG"
            yield name, {"image": PIXELS[index], "label": index % 2, "file_name": name}

    def _generate_examples(self):
        raise NotImplementedError


def test_images_may_be_named_by_their_files(tmp_path):
    NamedFiles(data_dir=tmp_path).download_and_prepare()
    source = opening.open_source("tfds:named_files", str(tmp_path))
    named = tfds_source.with_file_names(source)
    records = read(named)["eval"]
    assert len(records) == 12
    for record in records:
        number = int(record.source[len("ILSVRC2012_val_") : -len(".JPEG")])
        pixels = np.asarray(Image.open(io.BytesIO(record.encoded)))
        np.testing.assert_array_equal(pixels, PIXELS[number - 1])
        assert record.label == (number - 1) % 2
    assert [record.source for record in records] != sorted(record.source for record in records)
    shards = named.shards_of("eval")
    assert [i for s in shards for i in named.ids(s)] == [record.source for record in records]
    assert all(r.source.startswith("named_files/validation/") for r in read(source)["eval"])


def test_other_sources_keep_their_names(data_dir, image_folder):
    for spec in ("tfds:tiny_pets:small", f"folder:{image_folder}"):
        source = opening.open_source(spec, data_dir)
        assert tfds_source.with_file_names(source) is source
