# SPDX-License-Identifier: Apache-2.0
"""convert: writes any readable Mixer checkpoint in the authors' or in timm's format."""

from __future__ import annotations

import os
from collections.abc import Collection

from mixer_tf.checkpoints.formats.npz import write_npz
from mixer_tf.checkpoints.layouts import timm
from mixer_tf.checkpoints.layouts.flax_mixer import is_mixer_weight
from mixer_tf.checkpoints.opening import open_checkpoint

_WRITABLE_EXTENSIONS = (".npz", ".safetensors")
_MAX_NAMES = 5  # in an error message


def convert(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Writes the checkpoint `source` to `target`, one array at a time; no model is built.

    Args:
        source: any checkpoint that `load_weights` can read.
        target: path of an .npz file, which gets the authors' names, or of a .safetensors file,
            which gets timm's names.

    Raises:
        FileNotFoundError, ValueError: as for `load_weights`, or `target` has another extension, or
            `source` is not a Mixer checkpoint.
    """
    source, target = os.fspath(source), os.fspath(target)
    extension = os.path.splitext(target)[1]
    if extension not in _WRITABLE_EXTENSIONS:
        raise ValueError(
            f"the target must end in {' or '.join(_WRITABLE_EXTENSIONS)}; got {target}."
        )
    with open_checkpoint(source) as arrays:
        _check_is_mixer(arrays.shapes, source)
        if extension == ".npz":
            write_npz(arrays, target)
        else:
            from mixer_tf.checkpoints.formats.safetensors import write_safetensors

            write_safetensors(timm.to_timm(arrays), target)


def _check_is_mixer(names: Collection[str], source: str) -> None:
    other_names = [name for name in names if not is_mixer_weight(name)]
    if other_names or not names:
        raise ValueError(
            f"{source} must be a Mixer checkpoint; "
            f"it holds {', '.join(other_names[:_MAX_NAMES]) or 'nothing'}."
        )
