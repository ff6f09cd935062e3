# SPDX-License-Identifier: Apache-2.0
"""The only package that opens, decodes, resizes or crops an image.

Images are stored as encoded bytes until `decode`, a graph of TensorFlow ops that training,
evaluation and every exported model share. `read_header` and `make_decodable` need only PIL.
Importing this package imports neither TensorFlow nor PIL.
"""

from __future__ import annotations

from mixer_tf import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes.attach(
    __name__,
    {
        "Header": "headers",
        "MAX_PIXELS": "headers",
        "MIN_SIDE": "headers",
        "UnusableImageError": "headers",
        "read_header": "headers",
        "make_decodable": "conversion",
        "check": "validation",
        "examine": "validation",
        "examine_all": "validation",
        "decode": "decoding",
        "decode_and_inception_crop": "random_crops",
        "inception_crop": "resizing",
        "random_crop": "resizing",
        "reduce_shorter_side": "reduction",
        "resize_crop": "resizing",
        "resize_shorter_side": "resizing",
        "resize_to": "resizing",
        "resmall_crop": "resizing",
        "size_before_crop": "resizing",
    },
)
