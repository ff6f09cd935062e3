# SPDX-License-Identifier: Apache-2.0
"""Reads names for the classes of a model, such as those of ImageNet-21k, from a text file.

Two forms, told apart by the lines themselves:

* one line for each class, in label order: "tench, Tinca tinca" or "n01440764";
* lines that start with a WordNet id, "n01440764 tench, Tinca tinca", in any order and for more
  classes than needed (synset_words.txt, words.txt of ImageNet). They name the classes of a model
  whose own class names are such ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixer_tf import storage
from mixer_tf.evaluation.imagenet import WORDNET_ID
from mixer_tf.messages import listing, visible


def read(path: str, class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns a name for each class of a model, in label order.

    Args:
        path: the file, in UTF-8, with or without a byte order mark.
        class_names: the names that the model has.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8, or does not name each class of the model.
    """
    lines = [line.strip() for line in _read_text(path).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    pairs = [line.split(None, 1) for line in lines if line]
    if pairs and all(len(pair) == 2 and WORDNET_ID.fullmatch(pair[0]) for pair in pairs):
        return _by_id(path, pairs, class_names)
    return _in_label_order(path, lines, class_names)


def _read_text(path: str) -> str:
    try:
        return storage.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"--class-names must be UTF-8; {path} is not: {error}. Save it again as UTF-8."
        ) from None


def _by_id(path: str, pairs: Sequence[Sequence[str]], class_names) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for key, name in pairs:
        if names.setdefault(key, name) != name:
            raise ValueError(
                f"--class-names must name each class once; {path} has {visible(names[key])!r} and "
                f"{visible(name)!r} for {key}."
            )
    missing = [name for name in class_names if name not in names]
    if missing:
        raise ValueError(
            f"the lines of {path} start with WordNet ids, so that the classes of the model must "
            f"be named by such ids, and each must have a line; without one are "
            f"{listing(missing, show=visible)}. Give one line for each class in label order "
            "instead, without ids."
        )
    return tuple(names[name] for name in class_names)


def _in_label_order(path: str, lines: Sequence[str], class_names) -> tuple[str, ...]:
    if len(lines) != len(class_names):
        raise ValueError(
            f"--class-names must have one line for each of the {len(class_names):,} classes of the "
            f"model, in label order; {path} has {len(lines):,} lines."
        )
    empty = [number for number, line in enumerate(lines, 1) if not line]
    if empty:
        raise ValueError(
            f"--class-names must not have empty lines; line {empty[0]:,} of {path} is."
        )
    return tuple(lines)
