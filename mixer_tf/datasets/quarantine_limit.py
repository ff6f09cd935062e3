# SPDX-License-Identifier: Apache-2.0
"""How many images may be unusable before a preparation fails: `--max-quarantined`. No TensorFlow.

Without a limit, any number may be, as long as one training image is left.
"""

from __future__ import annotations

import collections
import dataclasses
import fractions
import json
import re
from collections.abc import Iterable

from mixer_tf import storage
from mixer_tf.console import format_table

OPTION = "--max-quarantined"
METAVAR = "N|P%"
HELP = (
    "Fail if more images than that are unusable: a number such as 20, or a share of all images "
    "such as 1%. Default: no limit, as long as one training image is usable."
)

_NUMBER = re.compile(r"[0-9]+")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_SIZE = re.compile(r"^[0-9]+x[0-9]+ pixels: ")
_MAX_REASONS = 20
_MAX_PATH = 60


@dataclasses.dataclass(frozen=True)
class QuarantineLimit:
    """A number or a share of unusable images that is still accepted.

    Attributes:
        text: as the user wrote it, such as "1%".
        number: the number of images; None if a share is given.
        percent: the share of all images in percent; None if a number is given.
    """

    text: str
    number: int | None = None
    percent: fractions.Fraction | None = None

    @classmethod
    def parse(cls, text: str) -> QuarantineLimit:
        """Reads "20" or "1%".

        Raises:
            ValueError: it is neither, or more than 100 %.
        """
        text = text.strip()
        if _NUMBER.fullmatch(text):
            return cls(text, number=int(text))
        share = _SHARE.fullmatch(text)
        if share and fractions.Fraction(share[1]) <= 100:
            return cls(text, percent=fractions.Fraction(share[1]))
        raise ValueError(
            f"{OPTION} must be a number of images such as 20, or a share from 0% to 100% such as "
            f"1%; got {text!r}."
        )

    def allows(self, num_unusable: int, num_images: int) -> bool:
        """Whether so many of the images may be unusable."""
        if self.number is not None:
            return num_unusable <= self.number
        return 100 * num_unusable <= self.percent * num_images

    def require(self, quarantine_file: str, num_usable: int, *, is_kept: bool) -> None:
        """Raises an error with the table of reasons if more images are unusable.

        Args:
            quarantine_file: path of `quarantine.jsonl`.
            num_usable: number of usable images in all splits.
            is_kept: whether the file outlives the error; TFX removes what a failed step has
                written.

        Raises:
            ValueError: more images are unusable.
        """
        text = storage.read_text(quarantine_file) if storage.exists(quarantine_file) else ""
        lines = [json.loads(line) for line in text.split("\n") if line]
        num_images = num_usable + len(lines)
        if self.allows(len(lines), num_images):
            return
        images = "images" if self.percent is None else "of the images"
        where = f"\nAll are listed in {quarantine_file}." if is_kept else ""
        raise ValueError(
            f"at most {self.text} {images} may be unusable; {len(lines):,} of {num_images:,} are, "
            f"{len(lines) / num_images:.2%}. Repair or remove these images, or raise {OPTION}.\n"
            f"{_table_of_reasons(lines)}{where}"
        )


def _table_of_reasons(lines: Iterable[dict]) -> str:
    by_reason = collections.defaultdict(list)
    for line in lines:
        by_reason[_SIZE.sub("", line["reason"])].append(line["source"])
    ordered = sorted(by_reason, key=lambda reason: (-len(by_reason[reason]), reason))
    rows = [
        (f"{len(by_reason[reason]):,}", reason, _shortened(min(by_reason[reason])))
        for reason in ordered[:_MAX_REASONS]
    ]
    others = sum(len(by_reason[reason]) for reason in ordered[_MAX_REASONS:])
    rows += [(f"{others:,}", "other reasons", "")] if others else []
    return format_table(("images", "reason", "such as"), rows, left=3)


def _shortened(path: str) -> str:
    return path if len(path) <= _MAX_PATH else f"…{path[1 - _MAX_PATH :]}"
