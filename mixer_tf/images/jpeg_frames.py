# SPDX-License-Identifier: Apache-2.0
"""Reads the coding process of a JPEG from its frame header, without decoding and TensorFlow.

Source: ITU-T T.81, table B.1 (markers) and section B.2.2 (frame header).
"""

from __future__ import annotations

import dataclasses
import re

# SOF markers; 0xC4, 0xC8 and 0xCC in this range have other meanings.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_DCT = frozenset({0xC0, 0xC1, 0xC2})
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_HIERARCHICAL = frozenset({0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF})
_ARITHMETIC = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
SCAN = bytes([0xFF, START_OF_SCAN])
# One that has a segment, or ends the image; zero and restart markers occur within a scan.
_MARKER = re.compile(rb"\xff+[^\x00\x01\xd0-\xd8\xff]")
# Encoders write about 10. With 100 million pixels, 64 take about five seconds.
MAX_SCANS = 64
# To follow more segments takes too long in the graph of a served model; encoders write dozens.
MAX_SEGMENTS = 10_000


@dataclasses.dataclass(frozen=True)
class Frame:
    """The coding process of a JPEG.

    Attributes:
        marker: second byte of the SOF marker, 0xC0 to 0xCF.
        precision: bits per channel.
    """

    marker: int
    precision: int

    @property
    def is_common(self) -> bool:
        """Whether every decoder can read it: baseline or progressive, Huffman-coded, 8 bits."""
        return self.marker in _HUFFMAN_DCT and self.precision == 8

    def describe(self) -> str:
        """Returns the name of the process, such as "lossless JPEG with 12 bits per channel"."""
        words = [
            word
            for word, markers in (
                ("arithmetic-coded", _ARITHMETIC),
                ("hierarchical", _HIERARCHICAL),
                ("lossless", _LOSSLESS),
            )
            if self.marker in markers
        ]
        name = " ".join([*words, "JPEG"])
        return name if self.precision == 8 else f"{name} with {self.precision} bits per channel"


def read_frame(encoded: bytes) -> Frame | None:
    """Returns the first frame of a JPEG; None if none precedes the pixels."""
    at = 2
    while at + 4 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == 0xFF:  # Any number of fill bytes may precede a marker.
            at += 1
        elif marker in _FRAMES:
            return Frame(marker, encoded[at + 4]) if at + 4 < len(encoded) else None
        elif marker in (START_OF_SCAN, END_OF_IMAGE):
            return None
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # Markers without a segment.
            at += 2
        else:
            at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return None


def has_too_many_scans(encoded: bytes) -> bool:
    """Whether a JPEG has more than `MAX_SCANS`; each one takes time, and may be of a few bytes.

    Also whether it has more than `MAX_SEGMENTS`, and bytes that look like so many scans.
    `scans.assert_few_scans` is the same in a graph.
    """
    if encoded.count(SCAN) <= MAX_SCANS:  # In most files; those bytes may also be part of others.
        return False
    at, scans = 2, 0
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(encoded, at)
        if not found or found[0][-1] == END_OF_IMAGE:
            return False
        scans += found[0][-1] == START_OF_SCAN
        if scans > MAX_SCANS:
            return True
        at = found.end() + int.from_bytes(encoded[found.end() : found.end() + 2], "big")
    return True


def is_common(encoded: bytes) -> bool:
    """Whether the bytes are a baseline or progressive JPEG, Huffman-coded, with 8 bits."""
    frame = read_frame(encoded) if encoded.startswith(b"\xff\xd8") else None
    return frame is not None and frame.is_common


def why_unreadable(encoded: bytes) -> str | None:
    """Returns why decoders may refuse a JPEG; None if its coding process is common or unknown."""
    frame = read_frame(encoded) if encoded.startswith(b"\xff\xd8") else None
    if frame is None or frame.is_common:
        return None
    return f"{frame.describe()} that cannot be read: save it as a baseline JPEG or a PNG"
