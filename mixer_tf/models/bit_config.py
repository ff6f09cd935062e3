# SPDX-License-Identifier: Apache-2.0
"""BiTConfig: all hyperparameters of a BiT ResNet; and the names of the models. No TensorFlow.

BiT (Big Transfer, arXiv:1912.11370) is the convolutional baseline of the Mixer paper (Tables 2, 3):
ResNet-v2 with GroupNorm and weight standardization.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

from mixer_tf.models.validation import check_integer, check_rate, height_and_width

# Bottleneck units of the four blocks, by the number of layers: big_vision, models/bit.py.
NUM_UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
NAMES = (
    "bit_r50x1",
    "bit_r101x1",
    "bit_r152x1",
    "bit_r50x2",
    "bit_r50x3",
    "bit_r152x2",
    "bit_r101x3",
    "bit_r200x3",
    "bit_r152x4",
)
EXPLICIT = "bit"  # the name of a model whose dimensions are all given as arguments
DIMENSIONS = ("num_units", "width")

EXPANSION = 4  # output channels of a bottleneck unit per inner channel
_MAX_UNIT_BLOCKS = 16
_BASE_WIDTH = 64  # channels of the root block at x1
_LAYERS_AND_WIDTH = re.compile(r"bit[_-]r(\d{1,6})x([1-9]\d{0,5})", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class BiTConfig:
    """The dimensions and regularization of a BiT ResNet.

    Attributes:
        image_size: (height, width) in pixels; one integer for a square. Any size is possible.
        num_units: number of bottleneck units in each block; all blocks except the first halve the
            resolution.
        width: channels of the root block; block b has width·2ᵇ inner channels and four times as
            many outputs.
        num_groups: number of groups of every GroupNorm, a divisor of `width`.
        num_classes: number of outputs of the head; 0 for the pooled features, without a head.
        dropout: dropout rate in [0, 1) on the pooled features.
        stochastic_depth: s in [0, 1); unit i of 0 … L-1, counted through all blocks, is dropped
            with probability i/(L-1)·s.
        stochastic_depth_rescaled: divide a kept branch by its probability of being kept.
        head_bias_init: initial value of all biases of the head.
    """

    # Deviation: the authors' BiT has neither dropout nor stochastic depth. Here both are available,
    # off by default, so that Mixer's recipes can be used.

    image_size: int | tuple[int, int]
    num_units: tuple[int, ...]
    width: int
    num_groups: int = 32
    num_classes: int = 1000
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    stochastic_depth_rescaled: bool = False
    head_bias_init: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "image_size", height_and_width(self.image_size))
        object.__setattr__(self, "num_units", _checked_units(self.num_units))
        for field in ("width", "num_groups"):
            check_integer(field, getattr(self, field), at_least=1)
        check_integer("num_classes", self.num_classes, at_least=0)
        for field in ("dropout", "stochastic_depth"):
            check_rate(field, getattr(self, field))
        if self.width % self.num_groups:
            raise ValueError(
                f"num_groups must divide width; got num_groups={self.num_groups}, "
                f"width={self.width}. Use num_groups={math.gcd(self.num_groups, self.width)}."
            )

    @property
    def num_features(self) -> int:
        """The number of output channels of the last block, which are the inputs of the head."""
        return EXPANSION * self.width * 2 ** (len(self.num_units) - 1)

    def units(self) -> Iterator[Unit]:
        """Yields all bottleneck units in the order of the network."""
        total, inputs, number = sum(self.num_units), self.width, 0
        for block, count in enumerate(self.num_units):
            for index in range(count):
                unit = Unit(
                    block=block + 1,
                    index=index + 1,
                    inputs=inputs,
                    channels=self.width * 2**block,
                    stride=2 if block and not index else 1,
                    drop_rate=number / max(total - 1, 1) * self.stochastic_depth,
                )
                yield unit
                inputs, number = unit.outputs, number + 1


@dataclasses.dataclass(frozen=True)
class Unit:
    """One bottleneck unit.

    Attributes:
        block, index: both counted from 1, as in the authors' names `block1/unit01`.
        inputs: number of input channels.
        channels: number of inner channels.
        stride: stride of the 3x3 convolution.
        drop_rate: probability that the residual branch is dropped in training.
    """

    block: int
    index: int
    inputs: int
    channels: int
    stride: int
    drop_rate: float

    @property
    def outputs(self) -> int:
        """The number of output channels."""
        return EXPANSION * self.channels

    @property
    def has_projection(self) -> bool:
        """Whether the shortcut needs a convolution to have the shape of the branch."""
        return self.stride > 1 or self.inputs != self.outputs


def parse(name: str) -> tuple[str, dict[str, object]] | None:
    """Returns the canonical name and the dimensions of "bit_r50x1" in any spelling ("BiT-R50x1").

    None if it is not the name of a BiT ResNet. Every number of layers can have any width.
    """
    if name == EXPLICIT:
        return name, {}
    match = _LAYERS_AND_WIDTH.fullmatch(name)
    if not match or int(match[1]) not in NUM_UNITS:
        return None
    layers, factor = int(match[1]), int(match[2])
    return (
        f"bit_r{layers}x{factor}",
        {"num_units": NUM_UNITS[layers], "width": _BASE_WIDTH * factor},
    )


def _checked_units(num_units) -> tuple[int, ...]:
    if not isinstance(num_units, (tuple, list)) or not num_units:
        raise TypeError(
            "num_units must have one integer for each block, such as (3, 4, 6, 3); "
            f"got {num_units!r}."
        )
    if len(num_units) > _MAX_UNIT_BLOCKS:
        raise ValueError(
            f"num_units must have at most {_MAX_UNIT_BLOCKS} integers, because every block doubles "
            f"the channels; got {len(num_units)}."
        )
    for count in num_units:
        check_integer("num_units", count, at_least=1)
    return tuple(num_units)
