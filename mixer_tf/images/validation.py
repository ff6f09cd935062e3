# SPDX-License-Identifier: Apache-2.0
"""Checks before training that the decoder of the model can read an image."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import library_messages
from mixer_tf.images import conversion, decoding, headers, jpeg_frames
from mixer_tf.images.batch_mapping import map_on_all_cores

DAMAGED = "damaged but readable"
FLAT = "of one color only, with transparency over white and values scaled to 8 bits"

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG"
# So many images are worth the graph that decodes them.
_MANY = 16
# Positions in a file; 4 and 6 are the types with an alpha channel.
_PNG_DEPTH, _PNG_COLOR_TYPE = 24, 25


@dataclasses.dataclass(frozen=True)
class Checked:
    """An image that can be used.

    Attributes:
        encoded: the bytes to store.
        remarks: what is odd, a subset of `DAMAGED` and `FLAT`.
    """

    encoded: bytes
    remarks: tuple[str, ...] = ()


def check(encoded: bytes) -> bytes:
    """Returns the bytes to store; they were decoded once.

    Raises:
        UnusableImageError: the image cannot be used; the message is the reason.
    """
    return examine(encoded).encoded


def examine(encoded: bytes) -> Checked:
    """Returns the bytes to store, and what is odd about the image.

    A JPEG that is damaged but readable becomes a PNG of the pixels that the decoder makes of it, so
    that libjpeg does not write its message about it in every epoch. A JPEG is not searched for one
    color: it has neither transparency nor values to scale.

    Raises:
        UnusableImageError: as `check`.
    """
    header = headers.read_header(encoded)
    decodable, pixels, messages = _convert_and_decode(encoded, header)
    if messages:  # Or did another thread decode a damaged image?
        decodable, pixels, messages = _convert_and_decode(encoded, header, exclusive=True)
    if not messages and decodable.startswith(_JPEG):
        return Checked(decodable)
    if messages and decodable.startswith(_JPEG):
        decodable = _as_png(decodable)
    is_flat = not encoded.startswith(_JPEG) and _is_flat(pixels)
    remarks = ((DAMAGED, bool(messages)), (FLAT, is_flat))
    return Checked(decodable, tuple(remark for remark, holds in remarks if holds))


def examine_all(encoded: Sequence[bytes]) -> list[Checked | headers.UnusableImageError]:
    """Returns for each image what `examine` returns, or the error that it raises.

    Those that need no conversion are decoded in one graph, on all cores, in less than half of the
    time where they are small. Where that fails, or a library writes a message, `examine` finds out
    which image is the reason.
    """
    flat = _flat_of_plain(encoded)
    return [
        _examined(each) if is_flat is None else Checked(each, (FLAT,) if is_flat else ())
        for each, is_flat in zip(encoded, flat, strict=True)
    ]


def _examined(encoded: bytes) -> Checked | headers.UnusableImageError:
    try:
        return examine(encoded)
    except headers.UnusableImageError as error:
        return error


def _flat_of_plain(encoded: Sequence[bytes]) -> list[bool | None]:
    """Returns whether each usable image is flat; None for what `examine` must look at."""
    flat: list[bool | None] = [None] * len(encoded)
    plain = [index for index, each in enumerate(encoded) if _is_plain(each)]
    for start in (_JPEG, _PNG):
        indices = [index for index in plain if encoded[index].startswith(start)]
        if len(indices) < _MANY:
            continue
        try:
            with library_messages.capture() as messages:
                images = tf.constant([encoded[index] for index in indices])
                found = _flat_finder(start == _JPEG)(images).numpy()
        except tf.errors.OpError:
            continue
        if not messages:
            for index, is_flat in zip(indices, found, strict=True):
                flat[index] = bool(is_flat)
    return flat


def _is_plain(encoded: bytes) -> bool:
    """Whether a JPEG or PNG can only fail in `decoding.decode_plainly`."""
    try:
        header = headers.read_header(encoded)
    except headers.UnusableImageError:
        return False
    if encoded.startswith(_JPEG):
        return header.format == "JPEG" and not jpeg_frames.why_unreadable(encoded)
    is_png = header.format == "PNG" and encoded.startswith(_PNG)
    return is_png and encoded[_PNG_DEPTH] != 16 and not _may_be_transparent(encoded)


@functools.cache
def _flat_finder(are_jpeg: bool):
    """A graph that decodes images, string [N]; whether each is flat, bool [N], False for JPEGs."""

    def is_flat(encoded):
        pixels = decoding.decode_plainly(encoded, are_jpeg)
        return tf.size(pixels) < 0 if are_jpeg else tf.reduce_all(pixels == pixels[0, 0])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def are_flat(encoded):
        return map_on_all_cores(is_flat, encoded)

    return are_flat


def _convert_and_decode(
    encoded: bytes, header: headers.Header, exclusive: bool = False
) -> tuple[bytes, tf.Tensor, list[str]]:
    """Returns the decodable bytes, their pixels, and what libraries said meanwhile."""
    with library_messages.capture(exclusive) as messages:
        decodable = conversion.convert(encoded, header)
        return decodable, _decode(decodable, header), messages


def _decode(encoded: bytes, header: headers.Header) -> tf.Tensor:
    """Decodes a JPEG or PNG, for one that is not transparent without any further steps."""
    try:
        if _may_be_transparent(encoded):
            return _decoder()(tf.constant(encoded))
        return decoding.decode_plainly(encoded, encoded.startswith(_JPEG))
    except tf.errors.OpError as error:
        raise headers.UnusableImageError(f"corrupt or truncated {header.format}") from error


def _may_be_transparent(encoded: bytes) -> bool:
    if encoded.startswith(_JPEG):
        return False
    return encoded[_PNG_COLOR_TYPE] >= 4 or encoded.find(b"tRNS", 0, encoded.find(b"IDAT")) > 0


def _is_flat(pixels: tf.Tensor) -> bool:
    """Whether all pixels [H, W, 3] are equal; the first row is enough for most images."""
    values = pixels.numpy()
    return bool(np.all(values[0] == values[0, 0]) and np.all(values == values[0, 0]))


def _as_png(encoded: bytes) -> bytes:
    with library_messages.capture():
        return tf.io.encode_png(_decoder()(tf.constant(encoded)), compression=1).numpy()


@functools.cache
def _decoder():
    """The decoder as one graph, traced once."""
    return tf.function(decoding.decode, input_signature=[tf.TensorSpec([], tf.string)])
