# SPDX-License-Identifier: Apache-2.0
"""The names that the authors have given to weights, now and before.

Now (big_vision, models/mlp_mixer.py): `stem/kernel`, `MixerBlock_0/LayerNorm_0/scale`,
`MixerBlock_0/token_mixing/Dense_0/kernel` …, `pre_head_layer_norm/scale`, `head/kernel`. Kernels
are [in, out], that of the stem [row, column, in, out]. All other modules use these names.
"""

from __future__ import annotations

import re

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Source, rearrange

# A training state holds more than the weights: optimiser slots, step counters.
_WRAPPERS = ("opt/target/", "params/")

# As the first published files have them (big_vision, models/mlp_mixer.py, function `load`).
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
    """Whether a Mixer has weights of such a name."""
    return name.startswith(_MODULES)


def to_authors_names(stored: LazyArrays) -> LazyArrays:
    """Returns the weights of a Flax checkpoint under the names of today.

    Names that are no Mixer's stay as they are.
    """
    unwrapped = _unwrap(list(stored.shapes))
    renamed = {_new_name(name): Source(full, _change(name)) for name, full in unwrapped.items()}
    return rearrange(stored, _count_norms_from_zero(renamed))


def _unwrap(names: list[str]) -> dict[str, str]:
    """Inner name → stored name, of the weights alone where they are wrapped up in a state."""
    inner = {name: name for name in names}
    for wrapper in _WRAPPERS:
        wrapped = [name for name in inner if name.startswith(wrapper)]
        if wrapped:
            inner = {name[len(wrapper) :]: inner[name] for name in wrapped}
    return inner


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        if match := re.fullmatch(old, name):
            return match.expand(new)
    return name


def _change(name: str):
    """The old MLPs are stored with superfluous axes of length 1."""
    return np.squeeze if "_mixing_phase_0/" in name else np.asarray


def _count_norms_from_zero(sources: dict[str, Source]) -> dict[str, Source]:
    """Flax once counted all the modules of a block on, as in LayerNorm_0, LayerNorm_2."""
    numbers: dict[str, set[int]] = {}
    for name in sources:
        if match := _BLOCK_NORM.fullmatch(name):
            numbers.setdefault(match[1], set()).add(int(match[2]))

    def renumber(match: re.Match) -> str:
        known = sorted(numbers[match[1]])
        number = known.index(int(match[2])) if len(known) == 2 else match[2]
        return f"{match[1]}/LayerNorm_{number}/{match[3]}"

    return {_BLOCK_NORM.sub(renumber, name): source for name, source in sources.items()}
