# SPDX-License-Identifier: Apache-2.0
"""Opens a source by one word and a path or name, such as "folder:/data/pets"."""

from __future__ import annotations

import dataclasses
import importlib

from mixer_tf.datasets.sources.source import Source
from mixer_tf.messages import did_you_mean

# Each module has `open_source(spec, location, data_dir) -> Source`.
_MODULES = {
    "digits": "digits",
    "tfds": "tfds",
    "folder": "folder",
    "tfrecord": "tfrecord",
    "csv": "csv",
}
_FORMS = "digits, tfds:NAME[:CONFIG], folder:PATH, tfrecord:GLOB, csv:PATH"


def open_source(spec: str, data_dir: str | None = None) -> Source:
    """Opens the source that `spec` names.

    Args:
        spec: "digits", "tfds:NAME[:CONFIG]", "folder:PATH", "tfrecord:GLOB" or "csv:PATH".
        data_dir: where prepared TFDS datasets lie; None for the default of TFDS.

    Raises:
        ValueError: no such kind of source, nothing at that path, or no image there.
    """
    kind, _, location = spec.partition(":")
    if kind not in _MODULES:
        raise ValueError(_unknown(spec, kind))
    if bool(location) == (kind == "digits"):
        raise ValueError(f"a source must be one of {_FORMS}; got {spec!r}.")
    module = importlib.import_module(f"mixer_tf.datasets.sources.{_MODULES[kind]}")
    source = module.open_source(spec, location, data_dir)
    if len(source.class_names) > 1:
        return source
    note = f"the only class is {source.class_names[0]!r}: any model is right, and learns nothing"
    return dataclasses.replace(source, notes=(*source.notes, note))


def _unknown(spec: str, kind: str) -> str:
    hint = did_you_mean(kind, _MODULES, most=1) or f" For a folder of images: folder:{spec}."
    return f"a source must be one of {_FORMS}; got {spec!r}.{hint}"
