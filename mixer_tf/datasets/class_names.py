# SPDX-License-Identifier: Apache-2.0
"""The order and the spelling of class names, the same in every kind of source.

Label k is the k-th name in `in_order`. Names that are numbers come first, by value: 0, 1, 2, 10 and
-1.5, 0.5, 10.0. All other names are sorted by their characters, with each run of digits compared as
a number: page2, page10. Capital letters come before small ones, as in Unicode.
"""

from __future__ import annotations

import collections
import decimal
import re
import unicodedata
from collections.abc import Collection, Iterable

from mixer_tf.messages import with_examples

# The exponent is short, so that every match is a valid decimal.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DIGITS = re.compile(r"([0-9]+)")
_SEPARATORS = re.compile(r"\s*[,;|/+&]\s*|\s+")
_MISSING = frozenset(["nan", "n/a", "na", "none", "null", "nil", "<na>", "?"])
_MAX_GROUPS = 3


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the distinct names in label order; index = label."""
    return tuple(sorted(set(names), key=sort_key))


def sort_key(name: str) -> tuple:
    """Returns the key that sorts class names; different names never have equal keys."""
    if _NUMBER.fullmatch(name):
        return 0, decimal.Decimal(name), name
    parts = _DIGITS.split(name)
    parts[1::2] = [_digits_key(part) for part in parts[1::2]]
    return 1, parts, name


def normalize(name: str) -> str:
    """Returns a name in Unicode's form NFC.

    Other file systems store "ü" as "u" with a combining character, which looks the same but would
    be another class.
    """
    return unicodedata.normalize("NFC", name)


def notes_of_unicode_forms(names: Iterable[str]) -> tuple[str, ...]:
    """Returns a note if several of the names are the same after `normalize`.

    Args:
        names: the names as they are stored.
    """
    spellings = collections.defaultdict(set)
    for name in names:
        if not name.isascii():
            spellings[normalize(name)].add(name)
    found = sorted(name for name, forms in spellings.items() if len(forms) > 1)
    if not found:
        return ()
    shown = with_examples(found, _MAX_GROUPS)
    return (f"class names in several Unicode forms were read as one class: {shown}",)


def notes_of_odd(names: Collection[str]) -> tuple[str, ...]:
    """Returns notes of names that may not be meant as classes: "nan", and "cat,dog" beside both."""
    known = set(names)
    missing = [name for name in names if name.casefold() in _MISSING]
    lists = [
        name
        for name in names
        if len(parts := _SEPARATORS.split(name)) > 1 and known.issuperset(parts)
    ]
    found = {
        "class names that often stand for a missing label": missing,
        "class names that may be lists of other classes": lists,
    }
    return tuple(
        f"{text}: {with_examples(names, _MAX_GROUPS)}" for text, names in found.items() if names
    )


def notes_of_similar(names: Iterable[str]) -> tuple[str, ...]:
    """Returns a note if names look alike: "Cat" and "cat", "hot dog" and "hot_dog", 1 and 01.

    They are separate classes, because those of handwritten letters are "A" and "a".
    """
    groups = collections.defaultdict(list)
    for name in names:
        groups[_appearance(name)].append(name)
    similar = [group for group in groups.values() if len(group) > 1]
    if not similar:
        return ()
    shown = "; ".join(", ".join(map(repr, group)) for group in similar[:_MAX_GROUPS])
    more = "; …" if len(similar) > _MAX_GROUPS else ""
    number = sum(map(len, similar))
    return (f"classes whose names differ only in spelling: {number:,} ({shown}{more})",)


def _appearance(name: str) -> object:
    if _NUMBER.fullmatch(name):
        return decimal.Decimal(name)
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _digits_key(digits: str) -> tuple[int, str]:
    """Sorts digits by value; a conversion to int would fail beyond 4,300 of them."""
    significant = digits.lstrip("0")
    return len(significant), significant
