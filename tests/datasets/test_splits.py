# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest

from mixer_tf.datasets import splits


def ids(number: int) -> list[str]:
    return [f"image {index}" for index in range(number)]


def count(rule: splits.HoldOut, image_ids: list[str]) -> dict[str, int]:
    found = [rule.split_for(image_id) for image_id in image_ids]
    return {split: found.count(split) for split in ("train", "eval", "test")}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("train", "train"), ("Training", "train"), ("VAL", "eval"), ("dev", "eval")),
        *(("training_set", "train"), ("TestImages", "test"), ("validset", "eval")),
        *(("test2017", "test"), ("1-train", "train"), ("data/train", "train")),
        *(("train_val", ""), ("trainval", ""), ("test tube", ""), ("images", ""), ("", "")),
        *(("prétest", ""), ("latest", ""), ("seg_train", ""), ("trains", ""), ("contest", "")),
    ],
)
def test_names_of_split_folders(name, split):
    assert splits.split_named(name) == split


def test_the_split_within_a_name():
    assert splits.split_within("seg_train") == "train"
    assert splits.split_within("test tube") == "test"
    assert splits.split_within("train_val") == splits.split_within("latest") == ""


def test_hashes_never_change():
    """A change would assign the images of every user to other splits."""
    assert splits.hash_fraction("cat/1.jpg") == pytest.approx(0.3878484, abs=1e-6)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ((), {"train": 0.8, "eval": 0.1, "test": 0.1}),
        (("train",), {"train": 0.8, "eval": 0.1, "test": 0.1}),
        (("train", "test"), {"train": 0.9, "eval": 0.1, "test": 0}),
        (("train", "eval"), {"train": 0.9, "eval": 0, "test": 0.1}),
        (("train", "eval", "test"), {"train": 1, "eval": 0, "test": 0}),
    ],
)
def test_missing_splits_are_held_out(present, expected):
    counts = count(splits.hold_out(ids(10_000), present), ids(10_000))
    assert {split: n / 10_000 for split, n in counts.items()} == pytest.approx(expected, abs=0.01)


def test_images_keep_their_split_when_others_are_added():
    few, many = splits.hold_out(ids(200), ()), splits.hold_out(ids(2000), ())
    assert [few.split_for(name) for name in ids(200)] == [many.split_for(name) for name in ids(200)]


def test_every_split_has_an_image_in_a_small_dataset():
    for first in range(50):
        for number in range(3, 30):
            names = [f"{first}/{index}" for index in range(number)]
            assert min(count(splits.hold_out(names, ()), names).values()) >= 1


def test_the_nearest_hash_fills_an_empty_split():
    names = sorted((n for n in ids(100) if splits.hash_fraction(n) > 0.5), key=splits.hash_fraction)
    rule = splits.hold_out(names[:9], ())
    assert [rule.split_for(name) for name in names[:9]] == ["test", "eval", *["train"] * 7]


def test_too_few_images_are_an_error():
    with pytest.raises(ValueError, match="at least 3 training images .* test and eval; got 2"):
        splits.hold_out(ids(2), ())


def test_ids_are_read_only_until_every_split_has_one():
    endless = (f"image {index}" for index in itertools.count())
    assert splits.hold_out(endless, ()).bounds == (("test", 0.1), ("eval", 0.2))


def test_given_splits_are_kept_and_the_order_is_mixed():
    items = [("train", name, name) for name in ids(100)] + [("test", "t", "t"), ("eval", "e", "e")]
    by_split = splits.assign_splits(items)
    assert by_split["test"] == ["t"]
    assert by_split["eval"] == ["e"]
    assert sorted(by_split["train"]) == sorted(ids(100))
    assert by_split["train"] != ids(100)


@pytest.mark.parametrize("present", [(), ("test",), ("eval",)])
def test_each_class_with_enough_images_has_one_in_every_split(present):
    items = [(split, f"given {split}", (split, "a")) for split in present]
    sizes = {f"class {size}.{index}": size for size in range(1, 13) for index in range(8)}
    for label, size in sizes.items():
        items += [("train", f"{label}/{i}", (f"{label}/{i}", label)) for i in range(size)]
    found = splits.assign_splits(items, label_of=lambda item: item[1])
    for split in {"train", "eval", "test"} - set(present):
        labels = {label for _, label in found[split]}
        assert {label for label, size in sizes.items() if size >= 5} <= labels
    assert sum(map(len, found.values())) == len(items)
    plain = splits.assign_splits(items)
    assert plain != found
    # Only classes that had none in some split have changed.
    moved = {item[1] for split in plain for item in set(plain[split]) ^ set(found[split])}
    for label in moved:
        counts = [sum(item[1] == label for item in plain[split]) for split in plain]
        assert min(n for split, n in zip(plain, counts, strict=True) if split not in present) == 0


def test_each_class_has_an_image_in_train():
    """The rule for all classes would hold out every image of some small ones."""
    items = []
    for size in range(1, 7):
        for number in range(100):
            label = f"class {size}.{number}"
            items += [("", f"{label}/{i}", (f"{label}/{i}", label)) for i in range(size)]
    plain = splits.assign_splits(items)
    found = splits.assign_splits(items, label_of=lambda item: item[1])
    labels = {label for _, _, (_, label) in items}
    lost = labels - {label for _, label in plain["train"]}
    assert lost and {label for _, label in found["train"]} == labels
    small = [label for label in labels if label < "class 5"]
    moved = {item for item in set(found["train"]) - set(plain["train"]) if item[1] in small}
    assert {label for _, label in moved} == lost and len(moved) == len(lost)
    for name, label in moved:
        others = [item[0] for _, _, item in items if item[1] == label]
        assert name == max(others, key=splits.hash_fraction)
    for split in ("eval", "test"):
        kept = {item for item in plain[split] if item[1] in small} - moved
        assert kept == {item for item in found[split] if item[1] in small}
