# SPDX-License-Identifier: Apache-2.0
"""The layers of a checkpoint whose weights are arranged as in an image. No TensorFlow."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import Shape
from mixer_tf.messages import did_you_mean
from mixer_tf.visualization import filters

Grid = tuple[int, int] | None

# Pattern of the name of a weight → name of its layer here. The names are those that
# `open_checkpoint` gives to weights of all families and formats.
_NAMES = {
    r"(?:stem|embedding)/kernel": "stem",
    r"(?:resnet/)?root_block/(?:standardized_conv2d(?:_\d+)?|conv_root)/kernel": "root",
    r"(?:Transformer/)?(?:posembed_input/)?pos_embedding": "position_embedding",
    r"MixerBlock_(\d+)/token_mixing/Dense_0/kernel": r"token_mixing_\1",
    r"MixerBlock_(\d+)/token_mixing/Dense_1/kernel": r"token_mixing_\1_outputs",
}
_BLOCK = re.compile(r"token_mixing_(\d+)(_outputs)?")
_CLASS_TOKENS = ("cls", "class_token/cls")


@dataclasses.dataclass(frozen=True)
class FilterLayer:
    """A layer whose weights are filters.

    Attributes:
        name: "stem", "token_mixing_0", …
        weight: name of the weight in the checkpoint.
        block: number of the block; None for a layer outside of blocks.
        is_paired: whether filters are shown in pairs of opposite sign; color filters are not.
        has_class_token: whether the model is a ViT with a class token.
    """

    name: str
    weight: str
    block: int | None = None
    is_paired: bool = True
    has_class_token: bool = False

    def filters(self, weight: np.ndarray, grid: Grid = None) -> np.ndarray:
        """Returns the filters, [N, rows, columns], or in color [N, rows, columns, 3].

        Args:
            weight: the array of the checkpoint.
            grid: rows and columns of patches; None for a square grid.

        Raises:
            ValueError: the grid does not fit.
        """
        if not self.is_paired:
            return filters.color_filters(weight)
        try:
            return self._reader()(weight, grid)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def _reader(self) -> Callable[[np.ndarray, Grid], np.ndarray]:
        if self.name == "position_embedding":
            return functools.partial(filters.position_filters, has_class_token=self.has_class_token)
        return filters.output_filters if self.name.endswith("_outputs") else filters.unit_filters

    def order(self, found: np.ndarray) -> np.ndarray:
        """Returns the order in which its filters are shown."""
        return filters.pair_order(found) if self.is_paired else filters.frequency_order(found)

    def plot(self, found: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Returns the filters in that order as an image, uint8 [height, width, 3]."""
        plot = filters.plot_pairs if self.is_paired else filters.plot_singles
        return plot(found, order)


def find_layers(shapes: Mapping[str, Shape]) -> dict[str, FilterLayer]:
    """Returns the layers of a checkpoint that have filters by name, in the order of the network.

    Args:
        shapes: name → shape of each weight, as `open_checkpoint` names them.
    """
    named = {weight: name for weight in shapes if (name := _layer_name(weight))}
    found = [_layer(name, weight, shapes) for weight, name in named.items()]
    found = [layer for layer in found if _is_arranged(layer, shapes)]
    found.sort(key=lambda layer: (-1 if layer.block is None else layer.block, layer.name != "stem"))
    return {layer.name: layer for layer in found}


def _layer(name: str, weight: str, shapes: Mapping[str, Shape]) -> FilterLayer:
    match = _BLOCK.fullmatch(name)
    return FilterLayer(
        name,
        weight,
        block=int(match[1]) if match else None,
        is_paired=len(shapes[weight]) < 4,
        has_class_token=any(token in shapes for token in _CLASS_TOKENS),
    )


def _is_arranged(layer: FilterLayer, shapes: Mapping[str, Shape]) -> bool:
    """Whether the weights are those of pixels in color, or of all patches."""
    shape = shapes[layer.weight]
    if not layer.is_paired:
        return shape[2] == 3
    if layer.block is None:
        return len(shape) == 3
    first = shapes.get("MixerBlock_0/token_mixing/Dense_0/kernel", ())
    inputs = shape[-1] if layer.name.endswith("_outputs") else shape[-2]
    return len(first) == len(shape) and inputs == first[-2]  # not the fewer tokens of a pyramid


def choose_layers(
    layers: Mapping[str, FilterLayer],
    patterns: Sequence[str] | None = None,
    blocks: Collection[int] | None = None,
) -> list[FilterLayer]:
    """Returns the layers to plot.

    Args:
        layers: layers of all checkpoints together.
        patterns: names, which may have * and ?; None for all but the output weights.
        blocks: numbers of the blocks to plot; None for all.

    Raises:
        ValueError: a pattern matches no layer, there is no such block, or no layer is chosen.
    """
    numbers = sorted({layer.block for layer in layers.values() if layer.block is not None})
    missing = [block for block in blocks or () if block not in numbers]
    if missing:
        known = f"0 to {numbers[-1]}" if numbers else "a Mixer's; this model has none"
        raise ValueError(f"a block must be one of {known}; got {', '.join(map(str, missing))}.")
    for pattern in patterns or ():
        if not fnmatch.filter(layers, pattern):
            raise ValueError(_no_layer(pattern, layers))
    chosen = [
        layer
        for layer in layers.values()
        if _is_chosen(layer, patterns)
        and (layer.block is None or not blocks or layer.block in blocks)
    ]
    if not chosen:
        raise ValueError(
            "at least one of the layers must be in one of the blocks; got the layers "
            f"{', '.join(patterns or ())} and the blocks {', '.join(map(str, blocks or ()))}."
        )
    return chosen


def _is_chosen(layer: FilterLayer, patterns: Sequence[str] | None) -> bool:
    if patterns is None:
        return not layer.name.endswith("_outputs")
    return any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in patterns)


def _no_layer(pattern: str, layers: Mapping[str, FilterLayer]) -> str:
    return (
        f"a layer must be one of {', '.join(layers)}; got {pattern!r}."
        f"{did_you_mean(pattern, layers)} Other weights are not arranged as in an image."
    )


def _layer_name(weight: str) -> str | None:
    for pattern, name in _NAMES.items():
        if match := re.fullmatch(pattern, weight):
            return match.expand(name)
    return None
