# SPDX-License-Identifier: Apache-2.0
"""The names and layouts of timm (models/mlp_mixer.py), in both directions.

timm computes the exact GELU, this project its tanh approximation, as the authors do: with the
same weights the logits differ a little. See `load_weights`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, Source, rearrange

# Modules, ours → theirs; # is the number of a block.
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
_OURS = {theirs: ours for ours, theirs in _MODULES.items()}

# Axes by their number: [out, in] <-> [in, out], [out, in, row, column] <-> [row, column, in, out].
_FROM_TORCH = {2: (1, 0), 4: (2, 3, 1, 0)}
_TO_TORCH = {2: (1, 0), 4: (3, 2, 0, 1)}

# What data-parallel training, torch.compile and transformers put before every name.
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.|timm_model\.)+")


def is_timm(names: Iterable[str]) -> bool:
    """Whether these are the names of a timm model."""
    return any(_WRAPPERS.sub("", name).startswith(("stem.proj.", "blocks.0.")) for name in names)


def from_timm(stored: LazyArrays) -> LazyArrays:
    """Returns a timm state dict under the authors' names and in their layout.

    Names that are no Mixer's stay as they are.
    """
    sources = {_our_name(name): Source(name, _permute(_FROM_TORCH)) for name in stored.shapes}
    return rearrange(stored, sources)


def to_timm(stored: LazyArrays) -> LazyArrays:
    """Returns weights under the authors' names as a timm state dict.

    Raises:
        ValueError: timm's Mixer has no such weight.
    """
    _check_is_plain(stored.shapes)
    sources = {_their_name(name): Source(name, _permute(_TO_TORCH)) for name in stored.shapes}
    return rearrange(stored, sources)


def _check_is_plain(shapes: dict[str, Shape]) -> None:
    """timm mixes S tokens to S, by one MLP for all channels and in every block alike."""
    first, last = (
        {shape for name, shape in shapes.items() if name.endswith(f"token_mixing/{dense}/kernel")}
        for dense in ("Dense_0", "Dense_1")
    )
    is_plain = len(first) <= 1 and last == {shape[::-1] for shape in first}
    if not is_plain or any(len(shape) != 2 for shape in first):
        raise ValueError(
            "timm's Mixer has plain token mixing only; got kernels of the shapes "
            f"{sorted(first | last)}. An .npz file holds any."
        )


def _our_name(name: str) -> str:
    module, _, parameter = _WRAPPERS.sub("", name).rpartition(".")
    pattern, numbers = _take_numbers(module, r"(?<=blocks\.)\d+")
    if pattern not in _OURS or parameter not in ("weight", "bias"):
        return name
    ours = _OURS[pattern]
    weight = "scale" if "norm" in pattern else "kernel"
    parameter = weight if parameter == "weight" else "bias"
    return f"{_put_numbers(ours, numbers)}/{parameter}"


def _their_name(name: str) -> str:
    module, _, parameter = name.rpartition("/")
    pattern, numbers = _take_numbers(module, r"(?<=MixerBlock_)\d+")
    if pattern not in _MODULES or parameter not in _PARAMETERS:
        raise ValueError(
            f"timm's Mixer has no weight like {name}. Only a plain Mixer can be written for timm; "
            "an .npz file holds any."
        )
    return f"{_put_numbers(_MODULES[pattern], numbers)}.{_PARAMETERS[parameter]}"


def _take_numbers(module: str, pattern: str) -> tuple[str, str]:
    """("blocks.3.norm1", …) -> ("blocks.#.norm1", "3")."""
    match = re.search(pattern, module)
    return re.sub(pattern, "#", module, count=1), match[0] if match else ""


def _put_numbers(module: str, number: str) -> str:
    return module.replace("#", number)


def _permute(axes_by_rank):
    def permute(array):
        return array.transpose(axes_by_rank.get(array.ndim, range(array.ndim)))

    return permute
