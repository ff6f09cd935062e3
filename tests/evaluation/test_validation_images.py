# SPDX-License-Identifier: Apache-2.0
"""The classes of ImageNet's validation images follow from their names."""

import collections
import shutil

import pytest

from mixer_tf.evaluation import imagenet, validation_images


def test_classes_of_the_validation_images_are_those_of_the_challenge():
    """Fifty images of each class; the first is a sea snake, the second an alp."""
    ids = imagenet.validation_ids()
    assert ids[:2] == ("n01751748", "n09193705")
    assert set(collections.Counter(ids).values()) == {50}
    assert set(ids) == set(imagenet.wordnet_ids())


def test_images_of_a_flat_folder_get_the_class_of_their_number(tmp_path, image_folder):
    numbers = {1: "n01751748", 2: "n09193705", 50_000: imagenet.validation_ids()[-1]}
    for number in numbers:
        name = f"ILSVRC2012_val_{number:08d}.png"
        shutil.copy(image_folder / "cat" / "000.png", tmp_path / name)
    spec = f"images:{tmp_path}"
    assert validation_images.is_folder_of_them(spec)
    source = validation_images.open_folder(spec)
    assert source.splits == ("test",) and len(source.class_names) == 1000
    records = [r for shard in source.shards_of("test") for r in source.read(shard)]
    assert [record.class_name for record in records] == list(numbers.values())
    assert [source.class_names[record.label] for record in records] == list(numbers.values())
    ids = [name for shard in source.shards_of("test") for name in source.ids(shard)]
    assert ids == [record.source for record in records]


def test_another_name_is_refused(image_folder):
    source = validation_images.open_folder(f"images:{image_folder}")
    with pytest.raises(ValueError, match=r"must have names such as .* got .*000\.png"):
        next(source.read(source.shards_of("test")[0]))
