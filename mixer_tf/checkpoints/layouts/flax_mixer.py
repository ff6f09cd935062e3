# SPDX-License-Identifier: Apache-2.0
"""The names of Mixer weights in the authors' Flax checkpoints, current and former ones.

Current (big_vision, models/mlp_mixer.py): `stem/kernel`, `MixerBlock_0/LayerNorm_0/scale`,
`MixerBlock_0/token_mixing/Dense_0/kernel` …, `pre_head_layer_norm/scale`, `head/kernel`. Kernels
are [in, out], that of the stem [row, column, in, out]. All other modules use these names.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Source, rearrange

# A training state also holds optimizer slots and step counters.
_WRAPPERS = ("opt/target/", "params/")

# In the first published files (big_vision, models/mlp_mixer.py, function `load`).
_OLD_NAMES = {
    r"embedding/(kernel|bias)": r"stem/\1",
    r"Mixer/encoder_norm/(scale|bias)": r"pre_head_layer_norm/\1",
    r"Mixer/encoderblock_(\d+)/(LayerNorm_\d+)/(scale|bias)": r"MixerBlock_\1/\2/\3",
    r"Mixer/encoderblock_(\d+)/(token|channel)_mixing_phase_0/(kernel|bias)1": (
        r"MixerBlock_\1/\2_mixing/Dense_0/\3"
    ),
    r"Mixer/encoderblock_(\d+)/(token|channel)_mixing_phase_0/(kernel|bias)2": (
        r"MixerBlock_\1/\2_mixing/Dense_1/\3"
    ),
}
_MODULES = ("stem/", "MixerBlock_", "pre_head_layer_norm/", "head/")
_BLOCK_NORM = re.compile(r"(MixerBlock_\d+)/LayerNorm_(\d+)/(scale|bias)")


def is_mixer_weight(name: str) -> bool:
    """Whether a current name belongs to a Mixer weight."""
    return name.startswith(_MODULES)


def to_flax_names(arrays: LazyArrays) -> LazyArrays:
    """Returns the weights of a Flax checkpoint under the current names.

    Names that do not belong to a Mixer are not changed.
    """
    unwrapped = _unwrap(list(arrays.shapes))
    sources = {
        _current_name(name): Source(original, _change(name)) for name, original in unwrapped.items()
    }
    return rearrange(arrays, _renumber_norms(sources))


def _unwrap(names: list[str]) -> dict[str, str]:
    """Returns name without wrapper → original name; in a training state, of the weights only."""
    unwrapped = {name: name for name in names}
    for wrapper in _WRAPPERS:
        wrapped = [name for name in unwrapped if name.startswith(wrapper)]
        if wrapped:
            unwrapped = {name.removeprefix(wrapper): unwrapped[name] for name in wrapped}
    return unwrapped


def _current_name(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        if match := re.fullmatch(old, name):
            return match.expand(new)
    return name


def _change(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The old MLPs are stored with additional axes of length 1."""
    return np.squeeze if "_mixing_phase_0/" in name else np.asarray


def _renumber_norms(sources: dict[str, Source]) -> dict[str, Source]:
    """Numbers the norms of a block 0 and 1; older versions of Flax numbered them 0 and 2."""
    numbers: dict[str, set[int]] = {}
    for name in sources:
        if match := _BLOCK_NORM.fullmatch(name):
            numbers.setdefault(match[1], set()).add(int(match[2]))

    def renumber(match: re.Match) -> str:
        in_block = sorted(numbers[match[1]])
        number = in_block.index(int(match[2])) if len(in_block) == 2 else match[2]
        return f"{match[1]}/LayerNorm_{number}/{match[3]}"

    return {_BLOCK_NORM.sub(renumber, name): source for name, source in sources.items()}
