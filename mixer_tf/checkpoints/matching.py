# SPDX-License-Identifier: Apache-2.0
"""Checks that a checkpoint fits a model; a single error lists everything that does not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection

from mixer_tf.checkpoints.lazy_arrays import Shape

Shapes = dict[str, Shape]


def check_fit(
    expected: Shapes,
    found: Shapes,
    title: str,
    *,
    head: Collection[str],
    repeated: re.Pattern,
    hint: Callable[[Shapes, Shapes], str],
) -> None:
    """Raises ValueError unless model and checkpoint have the same names and shapes.

    Args:
        expected: weight name → shape in the model.
        found: weight name → shape in the checkpoint.
        title: first line of the error message.
        head: names of the classification head's weights.
        repeated: pattern whose only group is the block number within a weight name.
        hint: (found, expected) -> last line of the error message.
    """
    missing = {name: "" for name in expected if name not in found}
    extra = {name: "" for name in found if name not in expected}
    wrong_shape = {
        name: f" is {list(found[name])}, must be {list(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    }
    if not (missing or extra or wrong_shape):
        return
    lines = [title]
    for heading, entries in (
        ("missing in the checkpoint", missing),
        ("extra in the checkpoint", extra),
        ("wrong shape", wrong_shape),
    ):
        if entries:
            lines += [f"  {heading}:", *(f"    {line}" for line in _join_blocks(entries, repeated))]
    is_head_only = {*missing, *extra, *wrong_shape} <= set(head)
    lines.append('Use head="new" for a new head.' if is_head_only else hint(found, expected))
    raise ValueError("\n".join(lines))


def _join_blocks(entries: dict[str, str], repeated: re.Pattern) -> list[str]:
    """Merges equal entries of several blocks into one line: "MixerBlock_{8-11}/… is …"."""
    blocks = defaultdict(list)
    for name, text in entries.items():
        match = repeated.search(name)
        before, after = (name[: match.start(1)], name[match.end(1) :]) if match else (name, "")
        blocks[before, after + text].append(match[1] if match else "")
    return [before + _ranges(numbers) + after for (before, after), numbers in blocks.items()]


def _ranges(numbers: list[str]) -> str:
    """["3"] -> "3"; ["0", "1", "2", "5"] -> "{0-2,5}"; leading zeros stay, as in "unit01"."""
    runs: list[list[str]] = []
    for number in sorted(numbers, key=lambda text: int(text or 0)):
        if runs and int(number) == int(runs[-1][-1]) + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return texts[0] if len(numbers) == 1 else f"{{{','.join(texts)}}}"
