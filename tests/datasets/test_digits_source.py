# SPDX-License-Identifier: Apache-2.0
import collections
import io
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from mixer_tf.datasets.sources import opening

PROJECT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def records():
    source = opening.open_source("digits")
    return {
        split: [record for shard in source.shards_of(split) for record in source.read(shard)]
        for split in source.splits
    }


def test_every_digit_is_in_one_split(records):
    found = [record.source for split in records.values() for record in split]
    assert sorted(found) == [f"digits/{index:04d}" for index in range(1797)]


def test_a_fifth_is_test_and_a_tenth_is_eval(records):
    shares = {split: len(found) / 1797 for split, found in records.items()}
    assert shares == pytest.approx({"train": 0.7, "eval": 0.1, "test": 0.2}, abs=0.03)


def test_each_split_has_all_classes_in_mixed_order(records):
    for split in records.values():
        labels = [record.label for record in split]
        assert set(labels) == set(range(10))
        assert len(set(labels[:20])) > 5


def test_pixels_and_labels_equal_those_of_scikit_learn(records):
    expected = datasets.load_digits()
    for record in records["train"][:50]:
        index = int(record.source.split("/")[1])
        pixels = np.asarray(Image.open(io.BytesIO(record.encoded)))
        np.testing.assert_allclose(pixels, expected.images[index] / 16 * 255, atol=0.5)
        assert record.label == expected.target[index]
        assert record.class_name == str(record.label)
        assert (record.format, record.width, record.height) == ("PNG", 8, 8)


def test_no_two_digits_have_equal_bytes(records):
    counts = collections.Counter(record.encoded for split in records.values() for record in split)
    assert max(counts.values()) == 1


def test_without_scikit_learn_the_error_names_the_package_to_install():
    program = (
        "from mixer_tf.datasets.sources import opening\n"
        "try: opening.open_source('digits')\n"
        "except ValueError as error: print(error)\n"
    )
    without_packages = [sys.executable, "-S", "-c", program]
    result = subprocess.run(without_packages, cwd=PROJECT, capture_output=True, text=True)
    assert "pip install scikit-learn" in result.stdout, result.stderr


def test_opening_does_not_import_scikit_learn():
    program = (
        "import sys; from mixer_tf.datasets.sources import opening\n"
        "opening.open_source('digits').fingerprint()\n"
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True)
