# SPDX-License-Identifier: Apache-2.0
"""Weights from files and to files: the authors' .npz, timm's state dicts, our own exports.

A file is opened as `LazyArrays` (names, shapes, and a way to read one array), which functions
rename and rearrange; arrays are read at the end, one at a time:

file -> `formats/` (npz, safetensors, torch_pickle, saved_model)
     -> `layouts/` (the authors' and timm's names; what each model family needs)
     -> `matching.py`, `loading.py` -> model,  or `conversion.py` -> file

`published.py` lists what is published, and `downloading.py` fetches it.
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
