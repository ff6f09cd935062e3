# SPDX-License-Identifier: Apache-2.0
"""Options: a frozen dataclass that checks the type and the rule of each field when it is made."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence

from mixer_tf.models.validation import shown

_TYPE_NAMES = {
    tuple[int, ...]: "integers separated by commas",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    str: "a string",
    types.NoneType: "none",
}


class Options:
    """Base of the sections of a recipe; a subclass is a frozen dataclass with `_rules`.

    An integer may stand for a number, and a list for a tuple, because JSON has no tuples.

    Raises:
        TypeError: a value does not have the type of its field.
        ValueError: a value breaks the rule of its field.
    """

    def __post_init__(self):
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in check_types(values, typing.get_type_hints(type(self))).items():
            object.__setattr__(self, name, value)
        self._check_rules()

    def _check_rules(self) -> None:
        for name, holds, rule in self._rules():
            if not holds:
                raise ValueError(f"{name} must be {rule}; got {name}={shown(getattr(self, name))}.")

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """Yields (field, whether its value is allowed, what it must be)."""
        return iter(())

    @classmethod
    def field_types(cls, values: Mapping[str, object]) -> dict[str, typing.Any]:
        """Returns the type of every field that can be set.

        Args:
            values: the values of some fields, if they decide which other fields exist.
        """
        return typing.get_type_hints(cls)

    @classmethod
    def owner(cls, values: Mapping[str, object]) -> str:
        """Returns what has these fields, for messages; see `field_types`."""
        return "a recipe"

    def field_docs(self) -> dict[str, str]:
        """Returns the meaning of every field."""
        return attribute_docs(type(self))

    def to_dict(self) -> dict[str, object]:
        """Returns every field with its value, as JSON takes it."""
        return dataclasses.asdict(self)

    def replace(self, **changes) -> Options:
        """Returns a copy with other values in some fields."""
        return dataclasses.replace(self, **changes)


def check_types(values: Mapping[str, object], hints: Mapping[str, object]) -> dict[str, object]:
    """Returns the values, each with the type of its field.

    Raises:
        TypeError: a value does not have that type.
    """
    return {name: _checked(name, value, hints[name]) for name, value in values.items()}


def one_of(choices: Sequence[str]) -> str:
    """Returns the rule of a field with a fixed set of values."""
    return "one of " + ", ".join(choices)


def with_section(section: str, error: Exception, known: Collection[str]) -> str:
    """Returns the text of an error; if it starts with a known field, with the section before it."""
    first_word = str(error).partition(" ")[0]
    return f"{section}.{error}" if first_word in known else str(error)


def type_name(hint) -> str:
    """Returns a type in words: "an integer, or none"."""
    if isinstance(hint, types.UnionType):
        return ", or ".join(map(type_name, typing.get_args(hint)))
    return _TYPE_NAMES.get(hint, getattr(hint, "__name__", str(hint)))


def attribute_docs(cls: type) -> dict[str, str]:
    """Returns the text of each attribute in a docstring with lines "name[, name]: text"."""
    _, _, text = inspect.getdoc(cls).partition("Attributes:\n")
    section = re.split(r"\n(?=\S)", text)[0]
    found = {}
    for entry in re.split(r"\n(?=    \w)", section):
        names, _, meaning = entry.strip().partition(": ")
        for name in names.split(", "):
            found[name] = " ".join(meaning.split())
    return found


def _checked(name: str, value, hint):
    given = value
    if isinstance(value, list):
        value = tuple(value)
    if type(value) is int and not _has_type(value, hint) and _has_type(1.0, hint):
        value = _as_float(value)
    if not _has_type(value, hint):
        raise TypeError(f"{name} must be {type_name(hint)}; got {shown(given)}.")
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf  # which is not a value that a field can have


def _has_type(value, hint) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_has_type(value, part) for part in typing.get_args(hint))
    if isinstance(value, bool):  # isinstance(True, int) holds
        return hint is bool
    if isinstance(value, tuple):
        return hint == tuple[int, ...] and all(_has_type(item, int) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return not isinstance(hint, types.GenericAlias) and isinstance(value, hint)
