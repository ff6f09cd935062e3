# SPDX-License-Identifier: Apache-2.0
"""convert: from any known format of checkpoint to the authors' or to timm's."""

from __future__ import annotations

import os

from mixer_tf.checkpoints.formats.npz import write_npz
from mixer_tf.checkpoints.layouts import timm
from mixer_tf.checkpoints.layouts.flax_mixer import is_mixer_weight
from mixer_tf.checkpoints.opening import open_checkpoint

_WRITABLE = (".npz", ".safetensors")


def convert(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Writes the checkpoint `source` to `target`, one array at a time; no model is built.

    Args:
        source: whatever `load_weights` reads.
        target: with the authors' names for an .npz file, with timm's for a .safetensors file.

    Raises:
        FileNotFoundError, ValueError: as `load_weights`, or `target` has another extension, or
            `source` is no Mixer's checkpoint.
    """
    source, target = os.fspath(source), os.fspath(target)
    extension = os.path.splitext(target)[1]
    if extension not in _WRITABLE:
        raise ValueError(f"the target must end in {' or '.join(_WRITABLE)}; got {target}.")
    with open_checkpoint(source) as stored:
        _check_is_mixer(stored.shapes, source)
        if extension == ".npz":
            write_npz(stored, target)
        else:
            from mixer_tf.checkpoints.formats.safetensors import write_safetensors

            write_safetensors(timm.to_timm(stored), target)


def _check_is_mixer(names, source: str) -> None:
    others = [name for name in names if not is_mixer_weight(name)]
    if others or not names:
        raise ValueError(
            f"{source} must be the checkpoint of a Mixer; "
            f"it holds {', '.join(others[:5]) or 'nothing'}."
        )
