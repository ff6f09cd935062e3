# SPDX-License-Identifier: Apache-2.0
"""BiTConfig: every choice that makes one BiT ResNet, and its names. No TensorFlow.

BiT (Big Transfer, arXiv:1912.11370) is the convolutional reference that the Mixer paper compares
itself with (Tables 2, 3): ResNet-v2 with GroupNorm and weight standardisation.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

from mixer_tf.models.validation import check_rate, check_whole_number, height_and_width

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
EXPLICIT = "bit"  # the name of a model whose dimensions are all given by hand
DIMENSIONS = ("num_units", "width")

EXPANSION = 4  # a unit puts out this many times the channels that it works with
_BASE_WIDTH = 64  # of the root block at x1
_LAYERS_AND_WIDTH = re.compile(r"bit[_-]r(\d+)x([1-9]\d*)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class BiTConfig:
    """The shape of one BiT ResNet and how it is regularised.

    Attributes:
        image_size: (height, width) in pixels; one number makes a square. Any size will do.
        num_units: bottleneck units in each block; each block but the first halves the image.
        width: channels of the root block; block b works with width·2ᵇ and puts out four times that.
        num_groups: of every GroupNorm; it divides `width`.
        num_classes: outputs of the head; 0 leaves the head away and gives the pooled features.
        dropout: rate in [0, 1) on the pooled features.
        stochastic_depth: s in [0, 1); unit i of 0 … L-1, counted through all blocks, is dropped
            with probability i/(L-1)·s.
        stochastic_depth_rescaled: divide a kept branch by its probability of being kept.
        head_bias_init: value of every bias of a new head.
    """

    # Deviation: the authors' BiT knows neither dropout nor stochastic depth. They are here, off by
    # default, so that the recipes of Mixer can be applied.

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
            check_whole_number(field, getattr(self, field), at_least=1)
        check_whole_number("num_classes", self.num_classes, at_least=0)
        for field in ("dropout", "stochastic_depth"):
            check_rate(field, getattr(self, field))
        if self.width % self.num_groups:
            raise ValueError(
                f"num_groups must divide width; got num_groups={self.num_groups}, "
                f"width={self.width}. Use num_groups={math.gcd(self.num_groups, self.width)}."
            )

    @property
    def num_features(self) -> int:
        """Channels of the last block, which the head reads."""
        return EXPANSION * self.width * 2 ** (len(self.num_units) - 1)

    def units(self) -> Iterator[Unit]:
        """Yields every bottleneck unit in the order of the network."""
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
        inputs: channels that come in.
        channels: channels that it works with.
        stride: of its 3x3 convolution.
        drop_rate: how probably its branch is dropped in training.
    """

    block: int
    index: int
    inputs: int
    channels: int
    stride: int
    drop_rate: float

    @property
    def outputs(self) -> int:
        """Channels that go out."""
        return EXPANSION * self.channels

    @property
    def has_projection(self) -> bool:
        """Whether the shortcut needs a convolution to fit what the branch puts out."""
        return self.stride > 1 or self.inputs != self.outputs


def parse(name: str) -> tuple[str, dict[str, object]] | None:
    """Returns the canonical name and the dimensions of "bit_r50x1" in any spelling ("BiT-R50x1").

    None where it is not the name of a BiT ResNet. Every number of layers takes any width.
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
            f"num_units must hold one whole number for each block, as (3, 4, 6, 3); "
            f"got {num_units!r}."
        )
    for count in num_units:
        check_whole_number("num_units", count, at_least=1)
    return tuple(num_units)
