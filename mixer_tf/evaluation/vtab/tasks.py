# SPDX-License-Identifier: Apache-2.0
"""The 19 tasks of VTAB-1k as data: group, dataset, splits, label rule, and allowed augmentation.

The splits are those of `paper_datasets`. No TensorFlow.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from mixer_tf.datasets import paper_datasets
from mixer_tf.evaluation.vtab import labels
from mixer_tf.evaluation.vtab.labels import LabelRule
from mixer_tf.messages import did_you_mean

NATURAL, SPECIALIZED, STRUCTURED = "natural", "specialized", "structured"
GROUPS = (NATURAL, SPECIALIZED, STRUCTURED)
NUM_TRAIN, NUM_VAL = 800, 200
_PREFIX = "vtab-"
_COUNT = re.compile(r"(\w+)\[(\d+)%:\+(\d+)\]")


@dataclasses.dataclass(frozen=True)
class VtabTask:
    """One task.

    Attributes:
        name: such as "dtd" or "clevr-count".
        group: one of `GROUPS`.
        dataset: NAME or NAME/CONFIG in TFDS.
        train, val, test: the split expressions; `resolve_split` makes them ones of TFDS.
        rule: from an example to its label.
        features: the features that the rule reads, as `tfds.decode.PartialDecoding` takes them.
        classes: names of the classes; () where they are those of the feature "label".
        crops: whether a random crop keeps the label, so that training may have it.
        flips: whether a mirror image keeps the label.
        is_binary: whether pixels are 0 and 1, which are scaled to 0 and 255.
    """

    name: str
    group: str
    dataset: str
    train: str
    val: str
    test: str
    rule: LabelRule
    features: Mapping[str, object]
    classes: tuple[str, ...] = ()
    crops: bool = True
    flips: bool = True
    is_binary: bool = False

    @property
    def train1000(self) -> str:
        """The images to train on once the hyperparameters are chosen."""
        return f"{self.train}+{self.val}"


def _task(
    name: str,
    group: str,
    rule: LabelRule | None = None,
    features: Mapping[str, object] | None = None,
    classes: Iterable[str] = (),
    **options,
) -> VtabTask:
    (dataset,) = paper_datasets.find([_PREFIX + name])
    return VtabTask(
        name,
        group,
        dataset.tfds,
        *dataset.splits,
        rule=rule or labels.feature("label"),
        features=features or {"label": True},
        classes=tuple(classes),
        **options,
    )


def _between(limits: Iterable[float], unit: str = "") -> list[str]:
    limits = list(limits)
    pairs = zip(limits, limits[1:], strict=False)
    return [f"{low:g} to {high:g}{unit}" for low, high in pairs]


def _dsprites(name: str, feature: str, width: float) -> VtabTask:
    classes = [f"{feature.removeprefix('label_')} bin {index}" for index in range(16)]
    return _task(
        *(name, STRUCTURED, labels.bins(feature, width), {feature: True}, classes),
        **_NEITHER,
        is_binary=True,
    )


def _smallnorb(name: str, feature: str, num_classes: int) -> VtabTask:
    classes = [f"{feature.removeprefix('label_')} {index}" for index in range(num_classes)]
    return _task(name, STRUCTURED, labels.feature(feature), {feature: True}, classes, **_NEITHER)


# Kolesnikov et al., whom the paper's authors follow, crop and flip except where this destroys the
# label, such as a count, a position or an orientation. Deviation: they do not list these tasks; the
# choice below is ours.
_NEITHER = {"crops": False, "flips": False}
_FLIP_ONLY = {"crops": False, "flips": True}
_OBJECTS = {"objects": {"size": True}}
_COORDINATES = {"objects": {"pixel_coords": True}}
_VEHICLES = {"objects": {"type": True, "location": True}}
_VEHICLE_CLASSES = (*_between([0, *labels.KITTI_DISTANCES[1:3]], " m"), "over 20 m", "no vehicle")

TASKS = (
    _task("caltech101", NATURAL),
    _task("cifar100", NATURAL),
    _task("dtd", NATURAL),
    _task("flowers102", NATURAL),
    _task("pets", NATURAL),
    _task("sun397", NATURAL),
    _task("svhn", NATURAL, flips=False),
    _task("camelyon", SPECIALIZED),
    _task("eurosat", SPECIALIZED),
    _task("resisc45", SPECIALIZED),
    _task("retinopathy", SPECIALIZED),
    _task(
        *("clevr-count", STRUCTURED, labels.clevr_count, _OBJECTS),
        [f"{number} objects" for number in range(3, 11)],
        **_FLIP_ONLY,
    ),
    _task(
        *("clevr-dist", STRUCTURED, labels.clevr_distance, _COORDINATES),
        _between(labels.CLEVR_DISTANCES),
        **_FLIP_ONLY,
    ),
    _task("dmlab", STRUCTURED, **_FLIP_ONLY),
    _task(
        *("kitti-dist", STRUCTURED, labels.kitti_distance, _VEHICLES),
        _VEHICLE_CLASSES,
        **_FLIP_ONLY,
    ),
    _dsprites("dsprites-loc", "label_x_position", 2),
    _dsprites("dsprites-ori", "label_orientation", 2.5),
    _smallnorb("smallnorb-azi", "label_azimuth", 18),
    _smallnorb("smallnorb-ele", "label_elevation", 9),
)


def find(names: Iterable[str]) -> list[VtabTask]:
    """Returns the tasks of these names, or of these groups, in the order of `TASKS`.

    Raises:
        ValueError: a name is unknown.
    """
    names = [name.strip().removeprefix(_PREFIX) for name in names]
    known = [*GROUPS, *(task.name for task in TASKS)]
    for name in names:
        if name not in known:
            raise ValueError(
                f"a task of VTAB-1k must be one of {', '.join(known)}; got {name!r}."
                f"{did_you_mean(name, known)}"
            )
    return [task for task in TASKS if task.name in names or task.group in names]


def resolve_split(expression: str, sizes: Mapping[str, int]) -> str:
    """Returns a split as TFDS writes it: "train[80%:+200]" → "train[2944:3144]".

    Percentages that a number of images follows are rounded down, as in the authors' code.

    Args:
        expression: one or several expressions of `paper_datasets`, joined by "+".
        sizes: split in TFDS → number of its examples.

    Raises:
        ValueError: the dataset does not have the split.
    """
    return "+".join(_resolve(part, sizes) for part in re.split(r"\+(?!\d)", expression))


def _resolve(part: str, sizes: Mapping[str, int]) -> str:
    name = part.partition("[")[0]
    if name not in sizes:
        raise ValueError(
            f"the dataset must have the split {name}; it has {', '.join(sizes) or 'none'}. "
            "Prepare it again with the builder of TFDS."
        )
    found = _COUNT.fullmatch(part)
    if not found:
        return part
    start = int(found[2]) * sizes[name] // 100
    return f"{name}[{start}:{start + int(found[3])}]"
