# SPDX-License-Identifier: Apache-2.0
"""The only place where the project opens, decodes, resizes or crops an image.

An image stays the encoded bytes it came as until `decode`, a graph of TensorFlow ops that training,
evaluation and every exported model share. What lies before it (`inspect`, `make_decodable`) needs
only PIL, and importing this package imports neither.
"""

import importlib

_MODULES = {
    "Header": "headers",
    "MAX_PIXELS": "headers",
    "MIN_SIDE": "headers",
    "UnusableImageError": "headers",
    "inspect": "headers",
    "make_decodable": "conversion",
    "check": "trial",
    "decode": "decoding",
    "inception_crop": "resizing",
    "reduce_shorter_side": "reduction",
    "resize_crop": "resizing",
    "resize_shorter_side": "resizing",
    "resize_to": "resizing",
    "resmall_crop": "resizing",
}

__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name!r}; it has {__all__}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
