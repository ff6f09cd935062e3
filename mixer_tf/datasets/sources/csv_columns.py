# SPDX-License-Identifier: Apache-2.0
"""Finds the columns of a CSV file with images, by the names in its header row and by its cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

# Accepted names, without spaces and punctuation. Without a header, the columns have this order.
_NAMES = {
    "path": (
        *("path", "file", "filename", "filepath", "filelocation", "image", "imagepath"),
        *("paths", "files", "filenames", "filepaths", "images", "imagepaths"),
        *("imagefile", "imagefilename", "imagename", "imageid", "imageurl", "imageuri", "img"),
        *("imgpath", "imgname", "imgid", "id", "picture", "uri", "url"),
    ),
    "label": (
        *("label", "labelname", "class", "classname", "classlabel", "classid", "category"),
        *("categoryname", "categoryid", "labelid", "target", "groundtruth", "labels", "classes"),
        *("species", "breed", "diagnosis", "dx"),
    ),
    "split": ("split", "set", "subset", "partition", "dataset"),
}

_HOW_TO_STATE = "Or state the columns by name or number, such as --columns=1,2."
_KNOWN = (
    "Names such as path, filename or image, and label, class or category are known, in any "
    f"spelling. {_HOW_TO_STATE}"
)

Score = Callable[[str], int]


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where a row has its values.

    Attributes:
        indices: "path", "label" and perhaps "split" → index of the column.
        has_header: whether the first row names the columns.
        notes: what the names alone did not decide.
    """

    indices: dict[str, int]
    has_header: bool
    notes: tuple[str, ...] = ()


def find(header: list[str], sample: Sequence[list[str]], score: Score) -> Columns:
    """Finds the columns.

    The first row is a header if it names the columns of path and label, or if none of its cells
    looks like the path of an image while cells of the next rows do.

    Args:
        header: the first row, which may be data.
        sample: the rows after it, or the first of them.
        score: how much a cell looks like the path of an image; 0 for other text.

    Raises:
        ValueError: the first row is a header and leaves open which column is which.
    """
    named = {column: _named(header, names) for column, names in _NAMES.items()}
    scores = [sum(score(row[i]) for row in sample if i < len(row)) for i in range(len(header))]
    if named["path"] and named["label"]:
        return _from_header(header, named, scores, known=True)
    if not any(map(score, header)) and any(scores) and not _is_repeated(header, sample, scores):
        return _from_header(header, named, scores, known=False)
    if any(named.values()) and not any(map(score, header)):
        raise ValueError(
            f"csv: a header must name the columns of path and label; got {header}. {_KNOWN}"
        )
    if len(header) < 2:
        raise ValueError(f"csv: the file must have the columns path,label; got {header}.")
    scores = [total + score(cell) for total, cell in zip(scores, header, strict=True)]
    if any(scores) and not scores[0]:
        raise ValueError(
            "csv: without a header row the columns must be path,label; column "
            f"{scores.index(max(scores)) + 1} holds the paths. Add a header row that names the "
            f"columns path and label. {_HOW_TO_STATE}"
        )
    return Columns(dict(zip(_NAMES, range(len(header)), strict=False)), has_header=False)


def find_stated(
    stated: str, header: list[str], sample: Sequence[list[str]], score: Score
) -> Columns:
    """Finds the columns that the user states.

    Args:
        stated: name or number of the columns of path, label and perhaps split, between commas;
            the first column has the number 1. Digits are a number wherever there is such a column.
        header, sample, score: as in `find`.

    Raises:
        ValueError: there is no such column, or not two or three different ones.
    """
    parts = [part.strip() for part in stated.split(",")]
    found = [_stated_index(part, header) for part in parts]
    if not 2 <= len(parts) <= len(_NAMES) or len(set(found)) < len(found):
        raise ValueError(
            "csv: the columns must be those of path, label and perhaps split, by name or number; "
            f"got {stated!r}. The first row is {header}."
        )
    indices = dict(zip(_NAMES, found, strict=False))
    path = indices["path"]
    scores = sum(score(row[path]) for row in sample if path < len(row))
    names = [part for part in parts if not _is_number(part, header)]
    has_header = any(name in header for name in names) or not (score(header[path]) or not scores)
    return Columns(indices, has_header)


def _is_number(part: str, header: list[str]) -> bool:
    """Whether a stated column is the number of one, which precedes a cell with the same digits."""
    return part.isascii() and part.isdigit() and 1 <= int(part) <= len(header)


def _stated_index(part: str, header: list[str]) -> int:
    if _is_number(part, header):
        return int(part) - 1
    if part in header:
        return header.index(part)
    found = [index for index, name in enumerate(map(_plain, header)) if name == _plain(part)]
    if part and len(found) == 1:
        return found[0]
    raise ValueError(
        f"csv: a column must be a name in the first row, or a number from 1 to {len(header)}; got "
        f"{part!r}. The first row is {header}."
    )


def _plain(name: str) -> str:
    """A name without spaces, punctuation and capital letters."""
    return "".join(filter(str.isalnum, name.lower()))


def _named(header: list[str], names: Sequence[str]) -> list[int]:
    """The indices of the columns with one of these names, in any spelling."""
    return [index for index, cell in enumerate(header) if _plain(cell) in names]


def _is_repeated(header: list[str], sample: Sequence[list[str]], scores: list[int]) -> bool:
    """Whether another cell of the first row occurs again, as a label does and a name does not."""
    path = scores.index(max(scores))
    others = [index for index in range(len(header)) if index != path]
    return any(header[i] and [header[i]] in [row[i : i + 1] for row in sample] for i in others)


def _from_header(
    header: list[str], named: dict[str, list[int]], scores: list[int], known: bool
) -> Columns:
    path = _path_index(header, named["path"], scores)
    indices = {"path": path, "label": _label_index(header, named, path)}
    if named["split"]:
        indices["split"] = named["split"][0]
    if not header[path] or not header[indices["label"]]:
        raise ValueError(
            f"csv: a header must name the columns of path and label; got {header}. {_KNOWN}"
        )
    used = ", ".join(f"{column} = {header[index]!r}" for column, index in indices.items())
    unused = [header[i] for found in named.values() for i in found if i not in indices.values()]
    notes = []
    if not known or path not in named["path"]:
        notes.append(f"the first row is read as a header, by the data: {used}")
    if unused:
        notes.append(f"columns used: {used}; not used: {', '.join(map(repr, unused))}")
    return Columns(indices, True, tuple(notes))


def _path_index(header: list[str], named: list[int], scores: list[int]) -> int:
    """The named column whose cells look most like paths, or else any column whose cells do."""
    best = max(named, key=scores.__getitem__, default=None)
    if best is not None and (scores[best] or not any(scores)):
        return best
    found = [index for index, total in enumerate(scores) if total == max(scores)]
    if len(found) > 1:
        names = " and ".join(repr(header[index]) for index in found)
        raise ValueError(
            f"csv: one column must hold the paths of the images; {names} do. Name it 'path'. "
            f"{_HOW_TO_STATE}"
        )
    return found[0]


def _label_index(header: list[str], named: dict[str, list[int]], path: int) -> int:
    found = [index for index in named["label"] if index != path]
    if found:
        # Of "class id" and "class name", the name.
        return min(found, key=lambda index: _plain(header[index]).endswith("id"))
    others = [i for i in range(len(header)) if i != path and i not in named["split"]]
    if len(others) == 1:
        return others[0]
    raise ValueError(
        f"csv: a header must name the columns of path and label; got {header}, of which "
        f"{header[path]!r} holds the paths. {_KNOWN}"
    )
