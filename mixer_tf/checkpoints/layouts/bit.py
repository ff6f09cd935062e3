# SPDX-License-Identifier: Apache-2.0
"""The names and layouts of BiT checkpoints, as their authors have published and changed them.

Published (gs://bit_models/BiT-M-R50x1.npz …): `resnet/root_block/standardized_conv2d/kernel`,
`resnet/block1/unit01/{a,b,c}/group_norm/{gamma,beta}`,
`resnet/block1/unit01/{a,b,c,a/proj}/standardized_conv2d/kernel`, `resnet/group_norm/{gamma,beta}`,
`resnet/head/conv2d/kernel` [1, 1, C, classes]. Those who trained them fed pixels from -1 to 1.
"""

from __future__ import annotations

import functools
import re

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, Source, rearrange
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.bit_config import NUM_UNITS

HEAD = ("resnet/head/conv2d/kernel", "resnet/head/conv2d/bias")
REPEATED = re.compile(r"unit(\d+)")  # what error messages count through

_ROOT = "resnet/root_block/standardized_conv2d/kernel"
_UNIT = re.compile(r"resnet/block(\d+)/(unit\d+)/")
_OURS = ("root_block/", "block", "group_norm/")  # names in our own exports
_KERAS = {"scale": "gamma", "bias": "beta"}  # of a norm: the words that the authors took over
_PARTS = {"1": "a", "2": "b", "3": "c", "_proj": "a/proj"}

# Other spellings → the published one: numbers that TensorFlow put behind some names, and the names
# of the Flax code (big_transfer, bit_jax/models.py; big_vision, models/bit_paper.py).
_SPELLINGS = {
    r"(resnet/.*/standardized_conv2d)_\d+/kernel": lambda m: f"{m[1]}/kernel",
    r"root_block/conv_root/kernel": lambda m: _ROOT,
    r"(block\d+/unit\d+)/conv([123]|_proj)/kernel": lambda m: (
        f"resnet/{m[1]}/{_PARTS[m[2]]}/standardized_conv2d/kernel"
    ),
    r"(block\d+/unit\d+)/gn([123])/(scale|bias)": lambda m: (
        f"resnet/{m[1]}/{_PARTS[m[2]]}/group_norm/{_KERAS[m[3]]}"
    ),
    r"norm-pre-head/(scale|bias)": lambda m: f"resnet/group_norm/{_KERAS[m[1]]}",
    r"(?:conv_)?head/(kernel|bias)": lambda m: f"resnet/head/conv2d/{m[1]}",
}


def published_name(name: str) -> str:
    """Returns the published name of a weight, given its name in our model."""
    name = name.replace("head/", "head/conv2d/")
    module, _, parameter = name.rpartition("/")
    is_norm = module.endswith("group_norm")
    return f"resnet/{module}/{_KERAS[parameter] if is_norm else parameter}"


def published_shape(name: str, shape: Shape, model: BiTResNet) -> Shape:
    """Returns the shape under which a weight is published, given its shape in our model."""
    return (1, 1, *shape) if name == "resnet/head/conv2d/kernel" else shape


def to_published(stored: LazyArrays, model: BiTResNet) -> LazyArrays:
    """Returns a checkpoint in the published names and layouts.

    Names that are no BiT's stay as they are.
    """
    return rearrange(
        stored,
        {
            name: Source(full, functools.partial(_lay_out, name))
            for name, full in ((_spell(name), name) for name in stored.shapes)
        },
    )


def belongs_to_head(name: str, model: BiTResNet) -> bool:
    """Whether a weight goes where the head goes."""
    return name in HEAD


def hint(found: dict[str, Shape], expected: dict[str, Shape], model: BiTResNet) -> str:
    """Returns what to do about a checkpoint of these shapes that does not fit."""
    units = sorted({match.groups() for match in map(_UNIT.match, found) if match})
    if not units or len(found.get(_ROOT, ())) != 4:
        return "It is not the checkpoint of a BiT ResNet."
    blocks = [block for block, _ in units]
    num_units = tuple(blocks.count(block) for block in sorted(set(blocks)))
    width = found[_ROOT][3]
    names = [
        f"bit_r{layers}x{width // 64}"
        for layers, known in NUM_UNITS.items()
        if known == num_units and width % 64 == 0
    ]
    name = names[0] if names else "a BiT ResNet"
    return f"The checkpoint is of {name}: num_units={num_units}, width={width}."


def _spell(name: str) -> str:
    for other, published in _SPELLINGS.items():
        if match := re.fullmatch(other, name):
            return published(match)
    return published_name(name) if name.startswith(_OURS) else name


def _lay_out(name: str, array: np.ndarray) -> np.ndarray:
    """Norms of the Flax code are [1, 1, 1, C], its head is [C, classes]."""
    if "/group_norm/" in name and array.ndim == 4:
        return array.reshape(array.shape[-1:])
    if name == "resnet/head/conv2d/kernel" and array.ndim == 2:
        return array[np.newaxis, np.newaxis]
    return array
