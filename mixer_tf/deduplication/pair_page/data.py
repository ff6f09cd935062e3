# SPDX-License-Identifier: Apache-2.0
"""The pairs of the page and their pictures, as tables for its script."""

from __future__ import annotations

import base64
import collections
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.pair_page.template import to_json
from mixer_tf.deduplication.pairs import Pair
from mixer_tf.messages import printable


class PageData:
    """What the script of the page reads: tables of images and pairs, which refer to each other.

    Attributes:
        num_pictured: number of pairs of which both images have a picture.
    """

    def __init__(
        self,
        shown: Sequence[Pair],
        has_more: Collection[ImageId],
        pictures: Mapping[ImageId, bytes],
    ):
        """Makes the tables.

        Args:
            shown: the pairs, in their order.
            has_more: images with further pairs, which are not shown.
            pictures: image → JPEG, as far as there are pictures.
        """
        self._names: dict[str, dict[str, int]] = collections.defaultdict(dict)
        self._images: dict[ImageId, int] = {}
        self._pictures, self._found = [], pictures
        self._rows: list[list] = []
        self._pairs = [self._pair(pair, pair.image in has_more) for pair in shown]
        self.num_pictured = sum(pair.image in pictures and pair.other in pictures for pair in shown)

    def to_json(self) -> str:
        """Returns JSON that can stand in an HTML element, whatever images and classes are named."""
        tables = {kind: list(names) for kind, names in sorted(self._names.items())}
        content = {**tables, "images": self._rows, "pairs": self._pairs}
        content["id"] = self._identity()
        content["pictures"] = self._pictures
        return to_json(content)

    def _identity(self) -> str:
        """Under it, a browser keeps the verdicts: it changes with the pairs, not with decisions."""
        pairs = [pair[:3] for pair in self._pairs]
        images = [row[:2] for row in self._rows]
        text = json.dumps([self._names["sets"], images, pairs])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _pair(self, pair: Pair, has_more: bool) -> list:
        return [
            self._image(pair.image),
            self._image(pair.other),
            pair.distance,
            self._index("reasons", pair.reason),
            self._index("decisions", pair.decision),
            int(pair.labels_differ),
            int(has_more),
        ]

    def _image(self, image: ImageId) -> int:
        if image not in self._images:
            self._images[image] = len(self._rows)
            self._rows.append(
                [
                    self._index("sets", printable(image.set_name)),
                    printable(image.source),
                    self._index("classes", printable(image.class_name)),
                    self._picture(self._found.get(image)),
                ]
            )
        return self._images[image]

    def _picture(self, jpeg: bytes | None) -> int:
        if jpeg is None:
            return -1
        self._pictures.append(base64.b64encode(jpeg).decode())
        return len(self._pictures) - 1

    def _index(self, kind: str, name: str) -> int:
        return self._names[kind].setdefault(name, len(self._names[kind]))
