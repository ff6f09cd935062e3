# SPDX-License-Identifier: Apache-2.0
"""Opens a source by its kind and its path or name, such as "folder:/data/pets".

Each module of a kind states `KIND`, `FORM`, `HELP` and `open_source(spec, location, data_dir)`.
No TensorFlow is imported until a source is opened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mixer_tf.datasets.class_names import notes_of_odd, notes_of_similar
from mixer_tf.datasets.sources import csv, digits, folder, tfds, tfds_splits, tfrecord
from mixer_tf.datasets.sources.source import Source
from mixer_tf.messages import did_you_mean, require_no_credentials, without_credentials

KINDS = {module.KIND: module for module in (digits, folder, csv, tfrecord, tfds)}


# How the note of a source with a single class starts, which matters for a training alone.
ONE_CLASS = "the only class is"


def forms() -> str:
    """Returns the forms of all specifications: "digits, folder:PATH, …"."""
    return ", ".join(module.FORM for module in KINDS.values())


def help_table() -> list[tuple[str, str]]:
    """Returns the form of each kind of source with a short explanation, for `--help`."""
    return [(module.FORM, module.HELP) for module in KINDS.values()]


def parse(spec: str) -> tuple[str, str]:
    """Returns the kind of a source, one of `KINDS`, and its path or name; nothing is opened.

    Raises:
        ValueError: unknown kind of source, or no path where the kind needs one.
    """
    kind, _, location = spec.partition(":")
    if kind.startswith(f"{csv.KIND}+"):
        kind = csv.KIND
    if kind.startswith(f"{tfds.KIND}+"):
        kind, _, location = tfds_splits.split_spec(spec)
    if kind not in KINDS:
        raise ValueError(_unknown_kind(spec, kind))
    if bool(location) != (":" in KINDS[kind].FORM):
        raise ValueError(f"a source must be one of {forms()}; got {spec!r}.")
    return kind, location


def open_source(spec: str, data_dir: str | None = None) -> Source:
    """Opens the source that `spec` names.

    Args:
        spec: one of `forms()`, such as "folder:/data/pets"; the columns of a CSV file may be
            stated: "csv+photo,species:list.csv", and the splits of a TFDS dataset:
            "tfds+eval=train[98%:]:cifar10".
        data_dir: the folder of prepared TFDS datasets; None for the default of TFDS.

    Raises:
        ValueError: unknown kind of source, nothing at that path, or no image there; or a URL with
            user name, password or query, also as the name of a class.
    """
    require_no_credentials({"a source": spec, "data_dir": data_dir})
    kind, location = parse(spec)
    source = KINDS[kind].open_source(spec, location, data_dir)
    require_no_credentials({"the name of a class": source.class_names})
    notes = (*map(without_credentials, source.notes), *_notes(source.class_names))
    return dataclasses.replace(source, notes=notes)


def _notes(class_names: Sequence[str]) -> tuple[str, ...]:
    if len(class_names) == 1:
        return (f"{ONE_CLASS} {class_names[0]!r}: there is nothing to learn",)
    return notes_of_similar(class_names) + notes_of_odd(class_names)


def _unknown_kind(spec: str, kind: str) -> str:
    hint = did_you_mean(kind, KINDS, most=1) or f" For a folder of images: folder:{spec}."
    return f"a source must be one of {forms()}; got {spec!r}.{hint}"
