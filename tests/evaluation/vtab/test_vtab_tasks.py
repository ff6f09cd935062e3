# SPDX-License-Identifier: Apache-2.0
"""The 19 tasks: the table of the specification, and each label rule on records of real features."""

import io

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets import tfds_metadata
from mixer_tf.evaluation.vtab import labels, reading, tasks
from mixer_tf.evaluation.vtab.tasks import TASKS

# Task → (group, number of classes), of Zhai et al., Table 1, and the specification.
EXPECTED = {
    **dict.fromkeys(["caltech101", "flowers102"], ("natural", 102)),
    "cifar100": ("natural", 100),
    "dtd": ("natural", 47),
    "pets": ("natural", 37),
    "sun397": ("natural", 397),
    "svhn": ("natural", 10),
    "camelyon": ("specialized", 2),
    "eurosat": ("specialized", 10),
    "resisc45": ("specialized", 45),
    "retinopathy": ("specialized", 5),
    "clevr-count": ("structured", 8),
    "clevr-dist": ("structured", 6),
    "dmlab": ("structured", 6),
    "kitti-dist": ("structured", 4),
    **dict.fromkeys(["dsprites-loc", "dsprites-ori"], ("structured", 16)),
    "smallnorb-azi": ("structured", 18),
    "smallnorb-ele": ("structured", 9),
}
# Dataset → the sizes of its real splits, and task → the 200 images as the authors' code has them.
SIZES = {"svhn_cropped": 73_257, "oxford_iiit_pet": 3680, "eurosat/rgb": 27_000, "clevr": 70_000}
SIZES |= {"dsprites": 737_280, "resisc45": 31_500, "caltech101": 3057}
VAL = {
    "svhn": "train[65931:66131]",
    "pets": "train[2944:3144]",
    "eurosat": "train[16200:16400]",
    "resisc45": "train[18900:19100]",
    "caltech101": "train[2751:2951]",
    "clevr-count": "train[63000:63200]",
    "clevr-dist": "train[63000:63200]",
    "dsprites-loc": "train[589824:590024]",
    "dsprites-ori": "train[589824:590024]",
    "cifar100": "train[45000:45200]",
    **dict.fromkeys(["smallnorb-azi", "smallnorb-ele"], "test[:200]"),
}

IDS = [task.name for task in TASKS]


def objects(**columns) -> dict:
    """The values of a sequence of objects; each column is an array."""
    return {"objects": columns}


def clevr(distances: list[float]) -> dict:
    """An image with one object at each distance."""
    count = len(distances)
    coordinates = np.array([[index, -5.0, z] for index, z in enumerate(distances)], np.float32)
    numbers = dict.fromkeys(["color", "material", "shape", "size"], np.ones(count, np.int64))
    return objects(
        pixel_coords=coordinates,
        **{"3d_coords": np.zeros((count, 3), np.float32)},
        rotation=np.zeros(count, np.float32),
        **numbers,
    )


def kitti(kinds: list[int], ahead: list[float]) -> dict:
    """An image with objects of these types at these distances."""
    import tensorflow_datasets as tfds

    count = len(kinds)
    location = np.array([[-90.0, -91.0, z] for z in ahead], np.float32).reshape(-1, 3)
    zeros = np.zeros(count, np.float32)
    return objects(
        type=np.array(kinds, np.int64),
        location=location,
        dimensions=np.zeros((count, 3), np.float32),
        bbox=[tfds.features.BBox(0.1, 0.1, 0.9, 0.9)] * count,
        occluded=np.zeros(count, np.int64),
        **dict.fromkeys(["alpha", "rotation_y", "truncated"], zeros),
    )


CAR, VAN, TRUCK, PEDESTRIAN = range(4)
# Task → (example, its label by hand).
BY_HAND = {
    "clevr-count": [(clevr([9.0] * 3), 0), (clevr([9.0] * 7), 4), (clevr([9.0] * 10), 7)],
    "clevr-dist": [
        (clevr([12.0, 7.9, 9.2]), 0),
        (clevr([8.25, 9.9, 11.0]), 1),
        (clevr([8.5, 9.9, 11.0]), 1),  # not above 8.5
        (clevr([8.75, 9.9, 11.0]), 2),
        (clevr([9.25, 9.4, 9.45]), 3),
        (clevr([9.75, 10.0, 9.9]), 4),
        (clevr([10.5, 12.0, 30.0]), 5),
    ],
    "kitti-dist": [
        (kitti([CAR, VAN], [30.0, 7.5]), 0),
        (kitti([PEDESTRIAN, TRUCK], [2.0, 12.5]), 1),
        (kitti([CAR, PEDESTRIAN], [25.0, 3.0]), 2),
        (kitti([PEDESTRIAN], [3.0]), 3),
        (kitti([], []), 3),
        (kitti([CAR], [-1.5]), 0),
    ],
    "dsprites-loc": [({"label_x_position": x}, y) for x, y in ((0, 0), (1, 0), (2, 1), (31, 15))],
    "dsprites-ori": [
        ({"label_orientation": x}, y) for x, y in ((0, 0), (2, 0), (3, 1), (4, 1), (5, 2), (39, 15))
    ],
    "smallnorb-azi": [({"label_azimuth": x}, x) for x in (0, 17)],
    "smallnorb-ele": [({"label_elevation": x}, x) for x in (0, 8)],
}


def examples_of(task) -> list[tuple[dict, int]]:
    _, num_classes = EXPECTED[task.name]
    return BY_HAND.get(task.name, [({"label": x}, x) for x in (0, num_classes - 1)])


def test_the_tasks_are_those_of_the_benchmark():
    assert {task.name: task.group for task in TASKS} == {n: g for n, (g, _) in EXPECTED.items()}
    assert [sum(task.group == group for task in TASKS) for group in tasks.GROUPS] == [7, 4, 8]


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_the_splits_are_those_of_the_authors(task):
    size = SIZES.get(task.dataset, 50_000)
    sizes = dict.fromkeys(["train", "validation", "test"], size)
    val = tasks.resolve_split(task.val, sizes)
    assert val == VAL.get(task.name, "validation[:200]")
    assert tasks.resolve_split(task.train, sizes) == "train[:800]"
    assert tasks.resolve_split(task.train1000, sizes) == f"train[:800]+{val}"
    test = {
        **dict.fromkeys(["eurosat", "resisc45"], "train[80%:]"),
        **dict.fromkeys(["clevr-count", "clevr-dist"], "validation"),
        **dict.fromkeys(["dsprites-loc", "dsprites-ori"], "train[90%:]"),
        **dict.fromkeys(["smallnorb-azi", "smallnorb-ele"], "test[50%:]"),
    }
    assert tasks.resolve_split(task.test, sizes) == test.get(task.name, "test")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, build):
    """All 17 datasets, each with the examples of its tasks in the split "train"."""
    import tensorflow_datasets as tfds

    folder = tmp_path_factory.mktemp("tfds")
    boxes = {"head_bbox": tfds.features.BBox(0.1, 0.1, 0.9, 0.9)}
    binary = np.zeros((64, 64, 1), np.uint8)
    binary[3:7, 40:60] = 1
    for dataset in dict.fromkeys(task.dataset for task in TASKS):
        given = [
            example for task in TASKS if task.dataset == dataset for example, _ in examples_of(task)
        ]
        changes = {"oxford_iiit_pet": boxes, "dsprites": {"image": binary}}.get(dataset, {})
        build(dataset, folder, {"train": given}, **changes)
    return folder


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_labels_of_records_with_the_features_of_the_builder(task, data_dir):
    reader = reading.open_task(task, str(data_dir))
    records = list(reader.read("train"))
    before = 0
    for other in TASKS[: TASKS.index(task)]:
        before += len(examples_of(other)) if other.dataset == task.dataset else 0
    expected = [label for _, label in examples_of(task)]
    found = records[before : before + len(expected)]
    assert [record.label for record in found] == expected
    assert len(reader.class_names) == len(set(reader.class_names)) == EXPECTED[task.name][1]
    assert [r.class_name for r in found] == [reader.class_names[label] for label in expected]
    base, _, _ = task.dataset.partition("/")
    assert [r.source for r in records] == [
        f"{base}-train.tfrecord-00000-of-00001__{index}" for index in range(len(records))
    ]
    builder = tfds_metadata.open_builder(task.dataset, str(data_dir))
    assert reader.version == f"{task.dataset}/{builder.version}"


def test_binary_images_become_black_and_white(data_dir):
    (task,) = tasks.find(["dsprites-loc"])
    record = next(reading.open_task(task, str(data_dir)).read("train"))
    pixels = np.asarray(Image.open(io.BytesIO(record.encoded)))
    assert set(np.unique(pixels)) == {0, 255} and pixels[5, 50] == 255 and pixels[50, 5] == 0


def test_kitti_has_the_vehicles_that_the_rule_takes(data_dir):
    builder = tfds_metadata.open_builder("kitti", str(data_dir))
    names = builder.info.features["objects"]["type"].names
    assert names[:3] == ["Car", "Van", "Truck"] and names[PEDESTRIAN] == "Pedestrian"


def test_a_distance_below_all_limits_is_an_error(tmp_path, build):
    with pytest.raises(ValueError, match="a distance must be above 0; got -1"):
        labels.distance_class(-1.0, labels.CLEVR_DISTANCES)
    build("kitti", tmp_path, {"train": [kitti([CAR], [-500.0])]})
    (task,) = tasks.find(["kitti-dist"])
    with pytest.raises(ValueError, match=r"kitti-train.*__0: a distance must be above -100"):
        list(reading.open_task(task, str(tmp_path)).read("train"))


def test_missing_data_say_how_to_get_them(tmp_path):
    (pets,) = tasks.find(["vtab-pets"])
    with pytest.raises(reading.MissingDataError) as error:
        reading.open_task(pets, str(tmp_path))
    assert str(error.value) == (
        "oxford_iiit_pet is not prepared. Run: mixer data build tfds:oxford_iiit_pet --download "
        f"--data-dir={tmp_path}"
    )
    (resisc,) = tasks.find(["resisc45"])
    with pytest.raises(reading.MissingDataError, match="TFDS asks for files first: .*OneDrive"):
        reading.open_task(resisc, str(tmp_path))


def test_unknown_tasks_name_the_nearest_one():
    assert [task.name for task in tasks.find(["dtd", "specialized"])] == [
        *("dtd", "camelyon", "eurosat", "resisc45", "retinopathy"),
    ]
    with pytest.raises(ValueError, match="got 'clevr-cout'. Did you mean clevr-count"):
        tasks.find(["clevr-cout"])
    with pytest.raises(ValueError, match="must have the split validation; it has train"):
        tasks.resolve_split("validation[:200]", {"train": 9})
