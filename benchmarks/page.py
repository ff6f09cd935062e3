# SPDX-License-Identifier: Apache-2.0
"""The page docs/speed.md: text written by hand, and tables between markers, which are replaced."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
from collections.abc import Sequence

from benchmarks.results import Table
from mixer_tf import doctor, storage, workers
from mixer_tf.benchmarks import machine
from mixer_tf.version import __version__

_PACKAGES = {"tensorflow": "TensorFlow", "jax": "JAX", "flax": "Flax"}


def begin(name: str) -> str:
    """Returns the line before the tables of a benchmark."""
    return f"<!-- begin benchmarks.{name} -->"


def end(name: str) -> str:
    """Returns the line after the tables of a benchmark."""
    return f"<!-- end benchmarks.{name} -->"


def replace(text: str, name: str, content: str) -> str:
    """Returns a page with other content between the markers of a benchmark.

    Raises:
        ValueError: the page does not have each of its markers once, in this order.
    """
    pattern = re.escape(begin(name)) + r"\n(.*?)" + re.escape(end(name))
    places = [*re.finditer(pattern, text, re.DOTALL)]
    if len(places) != 1 or text.count(begin(name)) != 1 or text.count(end(name)) != 1:
        raise ValueError(
            f"the page must have the lines {begin(name)} and {end(name)} once, in this order. Add "
            "them where the tables belong."
        )
    first, last = places[0].span(1)
    return f"{text[:first]}{content.strip()}\n{text[last:]}"


def content(name: str, tables: Sequence[Table], where: str) -> str:
    """Returns what is between the markers of a benchmark.

    Args:
        name: name of the benchmark.
        tables: its tables.
        where: the day, the machine and the versions, as `describe_machine` returns them.
    """
    parts = [f"`python -m benchmarks.{name}`, {where}:", *(each.to_markdown() for each in tables)]
    return "\n\n".join(parts)


def update(path: str, name: str, tables: Sequence[Table], where: str) -> None:
    """Replaces the tables of a benchmark in a page; the arguments are those of `content`."""
    text = replace(storage.read_text(path), name, content(name, tables, where))
    storage.write_text(path, text)


def describe_machine(day: datetime.date) -> str:
    """Returns the day, the machine, and the versions of what is measured, in one line."""
    features = " ".join(finding.text for finding in doctor.check_cpu())
    packages = [
        f"{title} {importlib.metadata.version(package)}" for package, title in _PACKAGES.items()
    ]
    versions = [f"mixer_tf {__version__}", f"Python {platform.python_version()}", *packages]
    cores = workers.count_processors()
    return f"{day}, {machine.processor()} ({features}), {cores} cores, {', '.join(versions)}"
