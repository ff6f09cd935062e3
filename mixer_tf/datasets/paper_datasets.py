# SPDX-License-Identifier: Apache-2.0
"""The datasets of the paper: names in TFDS, and the splits that the paper uses. No TensorFlow.

Source: section 3 of the paper for pre-training and transfer; the VTAB-1k protocol of Zhai et al.,
arXiv:1910.04867, for the 19 tasks. Sizes, licenses and download instructions are not here: they
come from TFDS; see `tfds_metadata`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from mixer_tf.messages import did_you_mean

PRETRAINING, TRANSFER, EVALUATION, VTAB = "pre-training", "transfer", "evaluation", "VTAB-1k"


@dataclasses.dataclass(frozen=True)
class PaperDataset:
    """One dataset in one role.

    Attributes:
        name: short name, unique.
        use: what the paper uses it for.
        tfds: NAME or NAME/CONFIG in TFDS; "" if TFDS does not have it.
        splits: what the paper trains, selects and reports on, as TFDS writes splits; "90%:+200"
            are the 200 images from 90 % on.
        note: what a plain `tfds:` source does not do, such as how the label is computed.
        classes: number of classes of a task whose label is computed; None where it is a feature.
    """

    name: str
    use: str
    tfds: str
    splits: tuple[str, ...]
    note: str = ""
    classes: int | None = None


def _vtab(
    name: str,
    tfds: str,
    train: str,
    val: str,
    test: str,
    note: str = "",
    classes: int | None = None,
) -> PaperDataset:
    return PaperDataset(name, VTAB, tfds, (train, val, test), note, classes)


_HEAD, _TAIL = "train[:800]", "train[90%:+200]"
_OFFICIAL = ("train[:800]", "validation[:200]", "test")
_CLEVR = (_HEAD, _TAIL, "validation")
_DSPRITES = (_HEAD, "train[80%:+200]", "train[90%:]")
_NORB = (_HEAD, "test[:200]", "test[50%:]")

DATASETS = (
    PaperDataset(
        *("imagenet2012", f"{PRETRAINING}, {TRANSFER}", "imagenet2012"),
        splits=("train[:99%]", "train[99%:]", "validation"),
    ),
    PaperDataset(
        *("imagenet21k", PRETRAINING, "", ()),
        note="TFDS does not have it: request it at https://image-net.org, and use folder:PATH",
    ),
    PaperDataset(
        *("imagenet2012_real", EVALUATION, "imagenet2012_real", ("validation",)),
        note="several labels for each image",
    ),
    PaperDataset(*("cifar10", TRANSFER, "cifar10"), splits=("train[:98%]", "train[98%:]", "test")),
    PaperDataset(
        *("cifar100", TRANSFER, "cifar100"), splits=("train[:98%]", "train[98%:]", "test")
    ),
    PaperDataset(
        *("oxford_iiit_pet", TRANSFER, "oxford_iiit_pet"),
        splits=("train[:90%]", "train[90%:]", "test"),
    ),
    PaperDataset(
        *("oxford_flowers102", TRANSFER, "oxford_flowers102"),
        splits=("train[:90%]", "train[90%:]", "test"),
    ),
    _vtab("vtab-caltech101", "caltech101", _HEAD, _TAIL, "test"),
    _vtab("vtab-cifar100", "cifar100", _HEAD, "train[45000:45200]", "test"),
    _vtab("vtab-dtd", "dtd", *_OFFICIAL),
    _vtab("vtab-flowers102", "oxford_flowers102", *_OFFICIAL),
    _vtab("vtab-pets", "oxford_iiit_pet", _HEAD, "train[80%:+200]", "test"),
    _vtab("vtab-sun397", "sun397/tfds", *_OFFICIAL),
    _vtab("vtab-svhn", "svhn_cropped", _HEAD, _TAIL, "test"),
    _vtab("vtab-camelyon", "patch_camelyon", *_OFFICIAL),
    _vtab("vtab-eurosat", "eurosat/rgb", _HEAD, "train[60%:+200]", "train[80%:]"),
    _vtab("vtab-resisc45", "resisc45", _HEAD, "train[60%:+200]", "train[80%:]"),
    _vtab("vtab-retinopathy", "diabetic_retinopathy_detection/btgraham-300", *_OFFICIAL),
    _vtab("vtab-clevr-count", "clevr", *_CLEVR, note="label: number of objects - 3", classes=8),
    _vtab(
        "vtab-clevr-dist", "clevr", *_CLEVR, note="label: distance of the nearest object", classes=6
    ),
    _vtab("vtab-dmlab", "dmlab", *_OFFICIAL),
    _vtab(
        "vtab-kitti-dist",
        "kitti",
        *_OFFICIAL,
        note="label: distance of the nearest vehicle",
        classes=4,
    ),
    _vtab(
        "vtab-dsprites-loc", "dsprites", *_DSPRITES, note="label: x position in 16 bins", classes=16
    ),
    _vtab(
        "vtab-dsprites-ori",
        "dsprites",
        *_DSPRITES,
        note="label: orientation in 16 bins",
        classes=16,
    ),
    _vtab("vtab-smallnorb-azi", "smallnorb", *_NORB, note="label: azimuth", classes=18),
    _vtab("vtab-smallnorb-ele", "smallnorb", *_NORB, note="label: elevation", classes=9),
)


def find(names: Iterable[str]) -> list[PaperDataset]:
    """Returns the datasets of these names, which may be those of TFDS; all without names.

    Raises:
        ValueError: a name is not known.
    """
    names = list(names)
    if not names:
        return list(DATASETS)
    found = []
    for name in names:
        matching = [each for each in DATASETS if name in (each.name, each.tfds, _base(each))]
        if not matching:
            known = [each.name for each in DATASETS]
            raise ValueError(
                f"a dataset of the paper must be one of {', '.join(known)}; got {name!r}."
                f"{did_you_mean(name, known)}"
            )
        found += [each for each in matching if each not in found]
    return found


def _base(dataset: PaperDataset) -> str:
    return dataset.tfds.partition("/")[0] or dataset.name
