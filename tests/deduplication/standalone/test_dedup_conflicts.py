# SPDX-License-Identifier: Apache-2.0
"""Images with equal bytes and different labels, in many work items."""

import types

import numpy as np

from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.label_conflicts import LabeledImage
from mixer_tf.deduplication.standalone.conflicts import find_conflicts
from mixer_tf.deduplication.standalone.store import Item

IMAGES_OF_ITEM = 32


class FakeStore:
    """Images of class cat, of which the first of each odd work item is one of the item before."""

    def __init__(self, num_items: int):
        digests = np.arange(num_items * IMAGES_OF_ITEM).reshape(num_items, -1)
        digests[1::2, 0] = digests[::2, 0]
        self._digests = digests.view(np.uint8).reshape(*digests.shape, -1)

    def read_files(self, item, read):
        return [(["cat"] * IMAGES_OF_ITEM, self._digests[item.number])]

    def fingerprints(self, item):
        """The first image alone, because the others are not repeated; a dog in odd work items."""
        image = ImageId("train", f"{item.number:05}.png", name_of(item.number), item.number, 0)
        digest = self._digests[item.number, 0].tobytes()
        yield types.SimpleNamespace(digests=[digest], ids=[image])


def name_of(number: int) -> str:
    return ("cat", "dog")[number % 2]


def test_the_images_of_many_work_items_are_found():
    num_items = 300
    items = [Item(number, "train", None, "") for number in range(num_items)]
    found = find_conflicts(FakeStore(num_items), items, ["train"])
    images = [LabeledImage("train", f"{n:05}.png", name_of(n)) for n in range(num_items)]
    assert found == tuple(zip(images[::2], images[1::2], strict=True))
