# SPDX-License-Identifier: Apache-2.0
"""Strict overrides of recipe fields from text: `--set optimizer.learning_rate=3e-4`."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence

from mixer_tf.messages import did_you_mean, nearest
from mixer_tf.models.validation import shown
from mixer_tf.recipes.options import Options, type_name, with_section


def apply(sections: Mapping[str, Options], assignments: Sequence[str]) -> dict[str, Options]:
    """Returns the sections of a recipe with each "section.field=value" applied.

    All fields of a section are replaced at once, and checked then: the order of the assignments
    does not matter, except that the last one of a field wins.

    Args:
        sections: {name: options}.
        assignments: texts as they follow `--set`.

    Raises:
        ValueError: an unknown field, or a value that its rule or type forbids.
    """
    texts = _split(assignments)
    known = field_types(sections, texts)
    changes: dict[str, dict[str, object]] = {}
    for path, text in texts.items():
        if path not in known:
            raise ValueError(_unknown_field(path, list(known), sections, texts))
        section, _, field = path.partition(".")
        changes.setdefault(section, {})[field] = _parse_value(text, known[path], path)
    changed = {name: _replace(name, sections[name], values) for name, values in changes.items()}
    return {**sections, **changed}


def field_types(
    sections: Mapping[str, Options], texts: Mapping[str, str] | None = None
) -> dict[str, typing.Any]:
    """Returns {"section.field": type} of every field that can be set.

    Args:
        sections: {name: options}.
        texts: {"section.field": text} of a change; a new name of the model decides which fields
            there are.
    """
    hints = {}
    for section, options in sections.items():
        types_of = options.field_types(_new_values(section, options, texts or {}))
        hints |= {f"{section}.{field}": hint for field, hint in types_of.items()}
    return hints


def _new_values(section: str, options: Options, texts: Mapping[str, str]) -> dict[str, object]:
    start = f"{section}."
    new = {path.removeprefix(start): text for path, text in texts.items() if path.startswith(start)}
    return {**options.to_dict(), **new}


def _split(assignments: Sequence[str]) -> dict[str, str]:
    """Returns {path: text}."""
    texts = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(
                f"an override must be section.field=value; got {assignment!r}. "
                "Write for example optimizer.learning_rate=3e-4."
            )
        texts[path.strip()] = text.strip()
    return texts


def _replace(section: str, options: Options, values: dict[str, object]) -> Options:
    try:
        return options.replace(**values)
    except (TypeError, ValueError) as error:
        known = options.field_types({**options.to_dict(), **values})
        raise ValueError(with_section(section, error, known)) from None


def _unknown_field(path: str, known: Sequence[str], sections, texts) -> str:
    section = path.partition(".")[0]
    owner, fields = "a recipe", known
    if section in sections:
        owner = sections[section].owner(_new_values(section, sections[section], texts))
        fields = [name for name in known if name.startswith(f"{section}.")]
    return (
        f"an override must name a field of {owner}; got {path!r}.{_suggestion(path, known)} "
        f"Fields: {', '.join(fields)}."
    )


def _suggestion(path: str, known: Sequence[str]) -> str:
    """Returns " Did you mean training.epochs?": the nearest field counts more than its section."""
    leaves = {name: name.partition(".")[2] for name in known}
    field = path.rpartition(".")[2]
    near = [field] if field in leaves.values() else nearest(field, leaves.values(), 1)
    same_field = [name for name in known if leaves[name] in near]
    return did_you_mean(path, same_field, most=1, cutoff=0.0)


def _parse_value(text: str, hint, path: str):
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if types.NoneType in kinds and text.lower() in ("none", "null"):
        return None
    try:
        return _READERS[kinds[0]](text)
    except (KeyError, ValueError):
        raise ValueError(f"{path} must be {type_name(hint)}; got {shown(text)}.") from None


_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_READERS = {
    bool: lambda text: _BOOLS[text.lower()],
    int: lambda text: int(text.replace("_", "")),
    float: float,
    str: str,
    tuple[int, ...]: lambda text: tuple(int(part) for part in text.split(",") if part.strip()),
}
