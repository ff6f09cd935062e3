# SPDX-License-Identifier: Apache-2.0
"""Features of a source: those of the model for each image alone; cached while nothing changes."""

import dataclasses
import os

import harness
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import factory, images
from mixer_tf.datasets.files import read_image
from mixer_tf.datasets.sources import opening
from mixer_tf.evaluation import fewshot_source, image_features
from mixer_tf.evaluation.image_features import FeatureExtractor


@pytest.fixture(scope="module")
def model():
    return harness.randomize(factory.from_recipe(harness.tiny_recipe(), 3))


@pytest.fixture(scope="module")
def source(bad_folder):
    return opening.open_source(f"folder:{bad_folder.path}")


def test_features_are_those_of_each_image_in_the_order_of_the_paths(model, source, bad_folder):
    shown = []
    found = image_features.read_features(
        FeatureExtractor(model),
        source,
        ["test", "train", "eval"],
        batch_size=7,
        progress=lambda *numbers: shown.append(numbers),
    )
    paths = sorted(str(bad_folder.path / name) for name in bad_folder.good)
    network = model.intermediates("pre_logits")
    for path, values in zip(paths, found.features.values, strict=True):
        record = image_features.validation.check_record(read_image(path, 0, ""))
        image = images.decode(tf.constant(record.encoded))
        larger = images.resize_to(image, 18)  # 16 * 256 / 224
        expected = network(larger[None, 1:17, 1:17])["pre_logits"][0]
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    names = [source.class_names[label] for label in found.features.labels]
    assert names == [os.path.basename(os.path.dirname(path)) for path in paths]
    assert {os.path.basename(path) for path, _ in found.problems} == {
        os.path.basename(name) for name in bad_folder.bad
    }
    total = len(bad_folder.good) + len(bad_folder.bad)
    assert shown[-1] == (total, total) and all(done <= total for done, _ in shown)


def test_cached_features_are_used_until_the_model_the_data_or_the_crop_change(
    model, tmp_path, write_image_folder, monkeypatch
):
    write_image_folder(tmp_path / "a", per_class=6)
    cache = str(tmp_path / "cache")

    def read(model, crop="resize_crop"):
        opened = opening.open_source(f"folder:{tmp_path / 'a'}")
        extractor = FeatureExtractor(model, crop)
        return image_features.read_features(extractor, opened, opened.splits, cache=cache)

    first = read(model)
    (file,) = os.listdir(cache)
    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractor, "__call__", None)
        again = read(model)
    np.testing.assert_array_equal(again.features.values, first.features.values)
    np.testing.assert_array_equal(again.features.labels, first.features.labels)
    other = harness.randomize(factory.from_recipe(harness.tiny_recipe(), 3), seed=1)
    assert np.abs(read(other).features.values - first.features.values).max() > 1e-3
    assert np.abs(read(model, "resize").features.values - first.features.values).max() > 1e-3
    (tmp_path / "a" / "cat" / "000.png").write_bytes(b"no image")
    assert len(read(model).problems) == 1
    assert len(os.listdir(cache)) == 4

    path = os.path.join(cache, file)
    with open(path, "r+b") as damaged:
        damaged.truncate(100)
    with pytest.raises(ValueError, match="cached features must be complete"):
        image_features._load(path)


def test_a_probe_leaves_out_what_no_class_can_fill_and_says_so(model, source):
    report = fewshot_source.probe_source(
        FeatureExtractor(model), source, ["train"], ["eval", "test"], leave_out=True, seeds=(0, 1)
    )
    counts = {result.shots: result.images for result in report.results}
    assert list(counts) == [1, 5, 10] and counts[1] == 3
    notes = "\n".join(report.notes)
    assert "images that cannot be used, which were left out: 5 (" in notes
    assert "25 shots: no class has as many training images" in notes
    assert "5 shots: classes with fewer training images, all of which are used: 'été 夏'" in notes
    assert report.facts["preprocessing"] == "resized to 18 x 18, then the center 16 x 16"
    with pytest.raises(ValueError, match="at most the images of the largest class"):
        fewshot_source.probe_source(
            FeatureExtractor(model), source, ["train"], ["test"], shots=(1, 25)
        )


def test_without_usable_images_there_is_no_probe(model, unusable_folder):
    source = opening.open_source(f"folder:{unusable_folder}")
    with pytest.raises(ValueError, match="must have usable train images; .* 12 cannot be used"):
        fewshot_source.probe_source(FeatureExtractor(model), source, ["train"], ["eval", "test"])
    source = dataclasses.replace(source, shards={"train": source.shards["train"]})
    with pytest.raises(ValueError, match="in the split test"):
        fewshot_source._require_images(
            source,
            {"test": ["test"]},
            [image_features.read_features(FeatureExtractor(model), source, ["test"])],
            (),
        )


def test_the_order_of_a_tfds_dataset_is_that_of_its_files():
    rows = [(f"cifar10/train/{n:07d}", n % 3, np.array([n])) for n in (11, 2, 100, 9)]
    ordered = image_features.in_order(rows, 1)
    assert ordered.values[:, 0].tolist() == [2, 9, 11, 100]
    assert ordered.labels.tolist() == [2, 0, 2, 1]


def test_train_and_eval_of_a_tfds_dataset_are_its_training_images_in_their_order(
    model, tmp_path, build
):
    """The evaluation split is held out of them by a hash; the authors draw from all of them."""
    labels = [7 * index % 10 for index in range(60)]
    build("svhn_cropped", tmp_path, {"train": [{"label": x} for x in labels], "test": [{}] * 4})
    source = opening.open_source("tfds:svhn_cropped", str(tmp_path))
    extractor = FeatureExtractor(model)
    parts = {
        split: len(image_features.read_features(extractor, source, [split]).features)
        for split in ("train", "eval")
    }
    assert parts["eval"] > 0 and sum(parts.values()) == 60
    both = image_features.read_features(extractor, source, ["train", "eval"]).features
    assert both.labels.tolist() == labels
