# SPDX-License-Identifier: Apache-2.0
"""Converts between the names and shapes of timm (models/mlp_mixer.py) and those of Flax.

timm computes the exact GELU; this project and the authors use its tanh approximation. With the
same weights the logits therefore differ slightly; see `load_weights`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, Source, rearrange

# Module names, Flax → timm; # stands for the number of a block.
_MODULES = {
    "stem": "stem.proj",
    "MixerBlock_#/LayerNorm_0": "blocks.#.norm1",
    "MixerBlock_#/token_mixing/Dense_0": "blocks.#.mlp_tokens.fc1",
    "MixerBlock_#/token_mixing/Dense_1": "blocks.#.mlp_tokens.fc2",
    "MixerBlock_#/LayerNorm_1": "blocks.#.norm2",
    "MixerBlock_#/channel_mixing/Dense_0": "blocks.#.mlp_channels.fc1",
    "MixerBlock_#/channel_mixing/Dense_1": "blocks.#.mlp_channels.fc2",
    "pre_head_layer_norm": "norm",
    "head": "head",
}
_PARAMETERS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_FLAX_MODULES = {timm_module: flax_module for flax_module, timm_module in _MODULES.items()}

# Permutations by rank: [out, in] <-> [in, out], [out, in, row, column] <-> [row, column, in, out].
_FROM_TORCH = {2: (1, 0), 4: (2, 3, 1, 0)}
_TO_TORCH = {2: (1, 0), 4: (3, 2, 0, 1)}

# Prefixes added by data-parallel training, torch.compile and transformers.
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.|timm_model\.)+")


def is_timm(names: Iterable[str]) -> bool:
    """Whether these are the names of a timm model."""
    return any(_WRAPPERS.sub("", name).startswith(("stem.proj.", "blocks.0.")) for name in names)


def from_timm(arrays: LazyArrays) -> LazyArrays:
    """Returns a timm state dict under Flax names and in Flax layouts.

    Names that do not belong to a timm Mixer are not changed.
    """
    sources = {_flax_name(name): Source(name, _transpose(_FROM_TORCH)) for name in arrays.shapes}
    return rearrange(arrays, sources)


def to_timm(arrays: LazyArrays) -> LazyArrays:
    """Returns weights under Flax names as a timm state dict.

    Raises:
        ValueError: timm's Mixer does not have such a weight.
    """
    _check_is_plain(arrays.shapes)
    sources = {_timm_name(name): Source(name, _transpose(_TO_TORCH)) for name in arrays.shapes}
    return rearrange(arrays, sources)


def _check_is_plain(shapes: dict[str, Shape]) -> None:
    """timm mixes S tokens to S, with one MLP for all channels and equal widths in all blocks."""
    first, last = (
        {shape for name, shape in shapes.items() if name.endswith(f"token_mixing/{dense}/kernel")}
        for dense in ("Dense_0", "Dense_1")
    )
    is_plain = len(first) <= 1 and last == {shape[::-1] for shape in first}
    if not is_plain or any(len(shape) != 2 for shape in first):
        raise ValueError(
            "timm's Mixer has the paper's token mixing only; got kernels of the shapes "
            f"{sorted(first | last)}. Write an .npz file instead."
        )


def _flax_name(name: str) -> str:
    module, _, parameter = _WRAPPERS.sub("", name).rpartition(".")
    pattern, number = _split_number(module, r"(?<=blocks\.)\d+")
    if pattern not in _FLAX_MODULES or parameter not in ("weight", "bias"):
        return name
    weight = "scale" if "norm" in pattern else "kernel"
    flax_module = _FLAX_MODULES[pattern].replace("#", number)
    return f"{flax_module}/{weight if parameter == 'weight' else 'bias'}"


def _timm_name(name: str) -> str:
    module, _, parameter = name.rpartition("/")
    pattern, number = _split_number(module, r"(?<=MixerBlock_)\d+")
    if pattern not in _MODULES or parameter not in _PARAMETERS:
        raise ValueError(
            f"timm's Mixer does not have a weight like {name}. Only a Mixer without ablations can "
            "be converted for timm; write an .npz file instead."
        )
    return f"{_MODULES[pattern].replace('#', number)}.{_PARAMETERS[parameter]}"


def _split_number(module: str, pattern: str) -> tuple[str, str]:
    """("blocks.3.norm1", …) -> ("blocks.#.norm1", "3")."""
    match = re.search(pattern, module)
    return re.sub(pattern, "#", module, count=1), match[0] if match else ""


def _transpose(axes_by_rank: dict[int, tuple[int, ...]]) -> Callable[[np.ndarray], np.ndarray]:
    def transpose(array: np.ndarray) -> np.ndarray:
        return array.transpose(axes_by_rank.get(array.ndim, range(array.ndim)))

    return transpose
