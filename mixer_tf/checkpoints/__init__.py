# SPDX-License-Identifier: Apache-2.0
"""Reads and writes weights: the authors' .npz files, timm's state dicts, our own exports.

A file is opened as `LazyArrays` (names, shapes, and a function that reads one array). Functions
rename and rearrange these; the arrays themselves are read at the end, one at a time:

file -> `formats/` (npz, safetensors, torch_pickle, saved_model)
     -> `layouts/` (names and shapes in the checkpoints of each project and model family)
     -> `matching.py`, `loading.py` -> model,  or `conversion.py` -> file

`published.py` lists the published checkpoints, and `downloading.py` downloads them.
"""

from __future__ import annotations

from mixer_tf import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes.attach(
    __name__,
    {
        "KNOWN": "published",
        "KnownCheckpoint": "published",
        "convert": "conversion",
        "fetch": "downloading",
        "load_weights": "loading",
        "save_npz": "loading",
        "upscale": "upscaling",
    },
)
