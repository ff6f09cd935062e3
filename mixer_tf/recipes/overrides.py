# SPDX-License-Identifier: Apache-2.0
"""Strict overrides of recipe fields from text: `--set optimizer.learning_rate=3e-4`."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence

from mixer_tf.recipes.schema import SECTIONS, Recipe, type_name


def field_types() -> dict[str, typing.Any]:
    """Returns "section.field" → type, for every field that can be set."""
    return {
        f"{section}.{field.name}": typing.get_type_hints(options)[field.name]
        for section, options in SECTIONS.items()
        for field in dataclasses.fields(options)
    }


def apply(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Returns `recipe` with each "section.field=value" applied; see `Recipe.override`.

    The rules of a section are checked once all its fields are set, so that two fields that
    depend on each other may come in any order.
    """
    changes: dict[str, dict[str, typing.Any]] = {}
    for assignment in assignments:
        section, field, value = _parse(assignment)
        changes.setdefault(section, {})[field] = value
    sections = {
        section: _replace(getattr(recipe, section), values, section)
        for section, values in changes.items()
    }
    return dataclasses.replace(recipe, **sections)


def _parse(assignment: str) -> tuple[str, str, typing.Any]:
    path, equals, text = assignment.partition("=")
    path, text = path.strip(), text.strip()
    if not equals:
        raise ValueError(
            f"an override must be section.field=value; got {assignment!r}. "
            "Write for example optimizer.learning_rate=3e-4."
        )
    known = field_types()
    if path not in known:
        raise ValueError(_unknown_field(path, list(known)))
    section, field = path.split(".")
    return section, field, _parse_value(text, known[path], path)


def _replace(options, values: dict, section: str):
    try:
        return dataclasses.replace(options, **values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{section}.{error}") from None


def _unknown_field(path: str, known: list[str]) -> str:
    section, _, field = path.rpartition(".")
    same_name = [name for name in known if name.split(".")[1] == field]
    leaves = difflib.get_close_matches(field, [name.split(".")[1] for name in known], 1)
    near = same_name or difflib.get_close_matches(path, known, 1, cutoff=0.7)
    near = near or [name for name in known if name.split(".")[1] in leaves]
    hint = f" Did you mean {near[0]}?" if near else ""
    fields = [name for name in known if name.startswith(f"{section}.")] or known
    return (
        f"an override must name a field of the recipe; got {path!r}.{hint} "
        f"Fields: {', '.join(fields)}."
    )


def _parse_value(text: str, hint, path: str):
    kinds = [hint]
    if isinstance(hint, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        if text.lower() in ("none", "null"):
            return None
    try:
        return _READERS[kinds[0]](text)
    except (KeyError, ValueError):
        raise ValueError(f"{path} must be {type_name(hint)}; got {text!r}.") from None


_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_READERS = {
    bool: lambda text: _BOOLS[text.lower()],
    int: lambda text: int(text.replace("_", "")),
    float: float,
    str: str,
    tuple[int, ...]: lambda text: tuple(int(part) for part in text.split(",") if part.strip()),
}
