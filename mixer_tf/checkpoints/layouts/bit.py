# SPDX-License-Identifier: Apache-2.0
"""The names and shapes in BiT checkpoints, in all variants that their authors have used.

Published (gs://bit_models/BiT-M-R50x1.npz …): `resnet/root_block/standardized_conv2d/kernel`,
`resnet/block1/unit01/{a,b,c}/group_norm/{gamma,beta}`,
`resnet/block1/unit01/{a,b,c,a/proj}/standardized_conv2d/kernel`, `resnet/group_norm/{gamma,beta}`,
`resnet/head/conv2d/kernel` [1, 1, C, classes]. The weights are trained on pixels in [-1, 1].
"""

from __future__ import annotations

import functools
import re

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, Source, rearrange
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.bit_config import NUM_UNITS

HEAD = ("resnet/head/conv2d/kernel", "resnet/head/conv2d/bias")
REPEATED = re.compile(r"unit(\d+)")  # error messages join entries that differ in this number only

_ROOT_KERNEL = "resnet/root_block/standardized_conv2d/kernel"
_UNIT = re.compile(r"resnet/block(\d+)/(unit\d+)/")
_OUR_PREFIXES = ("root_block/", "block", "group_norm/")  # in our own exports
_KERAS_PARAMETERS = {"scale": "gamma", "bias": "beta"}  # normalization layers: Flax → Keras
_CONVOLUTIONS = {"1": "a", "2": "b", "3": "c", "_proj": "a/proj"}

# Other names → the published one: TensorFlow added a number to some names, and the Flax code has
# names of its own (big_transfer, bit_jax/models.py; big_vision, models/bit_paper.py).
_OTHER_NAMES = {
    r"(resnet/.*/standardized_conv2d)_\d+/kernel": lambda m: f"{m[1]}/kernel",
    r"root_block/conv_root/kernel": lambda m: _ROOT_KERNEL,
    r"(block\d+/unit\d+)/conv([123]|_proj)/kernel": lambda m: (
        f"resnet/{m[1]}/{_CONVOLUTIONS[m[2]]}/standardized_conv2d/kernel"
    ),
    r"(block\d+/unit\d+)/gn([123])/(scale|bias)": lambda m: (
        f"resnet/{m[1]}/{_CONVOLUTIONS[m[2]]}/group_norm/{_KERAS_PARAMETERS[m[3]]}"
    ),
    r"norm-pre-head/(scale|bias)": lambda m: f"resnet/group_norm/{_KERAS_PARAMETERS[m[1]]}",
    r"(?:conv_)?head/(kernel|bias)": lambda m: f"resnet/head/conv2d/{m[1]}",
}


def published_name(name: str) -> str:
    """Returns the published name of a weight, given its name in our model."""
    name = name.replace("head/", "head/conv2d/")
    module, _, parameter = name.rpartition("/")
    is_norm = module.endswith("group_norm")
    return f"resnet/{module}/{_KERAS_PARAMETERS[parameter] if is_norm else parameter}"


def published_shape(name: str, shape: Shape, model: BiTResNet) -> Shape:
    """Returns the published shape of a weight, given its published name and shape in our model."""
    return (1, 1, *shape) if name == "resnet/head/conv2d/kernel" else shape


def to_published(arrays: LazyArrays, model: BiTResNet) -> LazyArrays:
    """Returns a checkpoint under the published names and in the published shapes.

    Names that do not belong to a BiT are not changed.
    """
    names = {_normalize_name(name): name for name in arrays.shapes}
    return rearrange(
        arrays,
        {
            name: Source(original, functools.partial(_normalize_shape, name))
            for name, original in names.items()
        },
    )


def belongs_to_head(name: str, model: BiTResNet) -> bool:
    """Whether a weight is dropped together with the classification head."""
    return name in HEAD


def hint(found: dict[str, Shape], expected: dict[str, Shape], model: BiTResNet) -> str:
    """Returns what to do about a checkpoint with these shapes, which does not fit the model."""
    units = sorted({match.groups() for match in map(_UNIT.match, found) if match})
    if not units or len(found.get(_ROOT_KERNEL, ())) != 4:
        return "This is not a BiT checkpoint."
    blocks = [block for block, _ in units]
    num_units = tuple(blocks.count(block) for block in sorted(set(blocks)))
    width = found[_ROOT_KERNEL][3]
    names = [
        f"bit_r{layers}x{width // 64}"
        for layers, known in NUM_UNITS.items()
        if known == num_units and width % 64 == 0
    ]
    name = names[0] if names else "a BiT ResNet"
    return f"The checkpoint is for {name}: num_units={num_units}, width={width}."


def _normalize_name(name: str) -> str:
    for pattern, to_name in _OTHER_NAMES.items():
        if match := re.fullmatch(pattern, name):
            return to_name(match)
    return published_name(name) if name.startswith(_OUR_PREFIXES) else name


def _normalize_shape(name: str, array: np.ndarray) -> np.ndarray:
    """In Flax checkpoints norms are [1, 1, 1, C], and the head is [C, classes]."""
    if "/group_norm/" in name and array.ndim == 4:
        return array.reshape(array.shape[-1:])
    if name == "resnet/head/conv2d/kernel" and array.ndim == 2:
        return array[np.newaxis, np.newaxis]
    return array
