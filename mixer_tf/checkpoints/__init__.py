# SPDX-License-Identifier: Apache-2.0
"""Weights from files and to files: the authors' .npz, timm's state dicts, our own exports.

A file is opened as `StoredArrays` (names, shapes, and a way to read one array), renamed and
rearranged by functions from those to those, and only at the end read, one array at a time:

file -> `npz.py` | `safetensors.py` | `torch_pickle.py` | `saved_model.py`  (containers)
     -> `authors.py` | `timm.py`                                            (names and layouts)
     -> `mixer.py` | `vit.py` | `bit.py`        (a family's form: `resolution.py`, `positions.py`)
     -> `matching.py`, `loading.py` -> model,  or `conversion.py` -> file

`known.py` lists what is published, `downloading.py` fetches it, `pretrained.py` makes models of it.
"""

from __future__ import annotations

import importlib

_HOME = {
    "KNOWN": "known",
    "KnownCheckpoint": "known",
    "convert": "conversion",
    "fetch": "downloading",
    "from_preset": "pretrained",
    "load_weights": "loading",
    "save_npz": "loading",
    "upscale": "upscaling",
}
__all__ = list(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
