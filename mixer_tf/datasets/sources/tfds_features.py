# SPDX-License-Identifier: Apache-2.0
"""Which features of a TFDS dataset are the image and its class."""

from __future__ import annotations

import dataclasses

# The feature in which `mixer data build` stores the path or id of an image.
PATH = "image_source"


@dataclasses.dataclass(frozen=True)
class Keys:
    """The names of the features that are read.

    Attributes:
        image: name of the image feature.
        label: name of the label feature.
        path: name of the feature with the path of the image, which `mixer data build` stores; ""
            if there is none.
        notes: why another feature is not the class, if the dataset may mean it.
    """

    image: str
    label: str
    path: str = ""
    notes: tuple[str, ...] = ()


def find_keys(info) -> Keys:
    """Finds the features: the supervised ones, or else the only image and the only class.

    Args:
        info: the `DatasetInfo` of TFDS.

    Raises:
        ValueError: the examples do not have one image with one class, or its values are floats.
    """
    import numpy as np
    from tensorflow_datasets import features as tfds_features

    keys = _supervised(info) or _only_ones(info)
    dtype = np.dtype(info.features[keys.image].np_dtype).name
    if dtype not in ("uint8", "uint16"):
        # TFDS stores the four bytes of a float as the channels of a PNG.
        raise ValueError(
            f"tfds: images must have the dtype uint8 or uint16; in {info.full_name} the dtype of "
            f"{keys.image!r} is {dtype}, whose range is not known. Scale the values to "
            "0 to 255 and prepare the dataset with Image(dtype=np.uint8)."
        )
    is_text = PATH in _names_of(info, tfds_features.Text)
    return dataclasses.replace(keys, path=PATH) if is_text else keys


def _supervised(info) -> Keys | None:
    from tensorflow_datasets import features

    image, label = (*(info.supervised_keys or ()), "", "")[:2]
    if image in _images(info) and label in _names_of(info, features.ClassLabel):
        return Keys(image, label)
    for key, meaning in ((image, "image"), (label, "class")):
        if key in _names_of(info, features.Sequence):
            raise ValueError(
                f"tfds: each example must have one {meaning}; in {info.full_name} the feature "
                f"{key!r} may be several. Store one image with one ClassLabel in each example."
            )
    return None


def _only_ones(info) -> Keys:
    from tensorflow_datasets import features

    images, labels = _images(info), _names_of(info, features.ClassLabel)
    if len(images) == len(labels) == 1:
        return Keys(images[0], labels[0], notes=_notes(info, labels[0]))
    listed = ", ".join(
        f"{name}: {type(kind).__name__}" for name, kind in sorted(info.features.items())
    )
    raise ValueError(
        "tfds: a dataset must have one Image and one ClassLabel; "
        f"{info.full_name} has images {images} and labels {labels}; its features are {listed}."
    )


def _notes(info, label: str) -> tuple[str, ...]:
    supervised = info.supervised_keys or ()
    if len(supervised) < 2:
        return ()
    return (f"the class is '{label}', the only ClassLabel; '{supervised[1]}' is not a class",)


def _images(info) -> list[str]:
    """The features that are images; a `LabeledImage` holds a class for each pixel."""
    from tensorflow_datasets import features

    masks = _names_of(info, features.LabeledImage)
    return [name for name in _names_of(info, features.Image) if name not in masks]


def _names_of(info, kind: type) -> list[str]:
    return sorted(name for name, feature in info.features.items() if isinstance(feature, kind))
