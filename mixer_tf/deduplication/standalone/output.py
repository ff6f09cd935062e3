# SPDX-License-Identifier: Apache-2.0
"""The folder of `mixer dedup`: whose it is, and what of an earlier run is replaced.

The folder holds

* `pairs.csv`: every pair,
* `removed.txt`: the images to leave out, for `--exclude`,
* `report.html`, `report.json`, `pairs.jsonl` and `label_conflicts.jsonl`: as of the pipeline,
* `dedup.json`: what was compared,
* `work/`: what finished work items leave, by which a run is resumed; it may be removed afterwards,
* `.lock`: while a process uses the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from mixer_tf import locks, storage
from mixer_tf.deduplication import report
from mixer_tf.deduplication.standalone import pair_table

REMOVED, PAGE = "removed.txt", "report.html"
_STATE, _WORK = "dedup.json", "work"
RESULTS = (pair_table.FILE_NAME, REMOVED, PAGE, report.REPORT, report.PAIRS, report.CONFLICTS)
_TITLES = {
    "train": "--train",
    "against": "--against",
    "ignore_splits": "--ignore-splits",
    "within": "--within",
    "threshold": "--threshold",
    "mode": "--mode",
    "keep": "--keep-duplicates",
}


@dataclasses.dataclass(frozen=True)
class OutputFolder:
    """The folder of a run.

    Attributes:
        root: its path, on this machine.
    """

    root: str

    def __post_init__(self):
        if storage.is_remote(self.root):
            raise ValueError(
                f"--out must be a folder of this machine; got {self.root}. Copy the folder there "
                "afterwards."
            )

    def path(self, name: str) -> str:
        return os.path.join(self.root, name)

    @property
    def work(self) -> str:
        return self.path(_WORK)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from using the folder.

        Raises:
            ValueError: upon entering, another process uses it, or it is a file.
        """
        with locks.exclusive(self.root, "Wait until it has ended, or name another --out."):
            yield

    def claim(self, description: dict[str, Any], replace: bool) -> None:
        """Reserves the folder for a comparison.

        Args:
            description: what is compared, as JSON.
            replace: whether the results of another comparison are removed; finished work items of
                it that are valid for this one are used in any case.

        Raises:
            ValueError: the folder holds other files, or another comparison.
        """
        path = self.path(_STATE)
        if not os.path.exists(path):
            self._require_empty()
        else:
            earlier = json.loads(storage.read_text(path))
            if earlier != description and not replace:
                raise ValueError(_other_comparison(self.root, earlier, description))
            if earlier != description:
                self._remove_results()
        os.makedirs(self.work, exist_ok=True)
        storage.write_text(path, json.dumps(description, indent=2))
        for partial in pathlib.Path(self.work).glob(f"*/{storage.partial_name('*')}"):
            partial.unlink()

    def _remove_results(self) -> None:
        for name in RESULTS:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path(name))

    def _require_empty(self) -> None:
        found = locks.list_other_files(self.root, _STATE)
        if found:
            raise ValueError(
                f"--out must be a new or empty folder, or that of an earlier mixer dedup; "
                f"{self.root} holds other files, such as {found[0]!r}. Name another one."
            )


def _other_comparison(root: str, earlier: dict, now: dict) -> str:
    changed = [key for key in _TITLES if earlier.get(key) != now[key]]
    clauses = [
        f"{_TITLES[key]} was {_shown(earlier.get(key))}, now {_shown(now[key])}" for key in changed
    ]
    return (
        f"{root} holds another comparison ({'; '.join(clauses)}). Name another --out, or use "
        "--replace to remove its results; images that were read are not read again where that is "
        "possible."
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={spec}" for name, spec in value.items()) or "none"
    if isinstance(value, list):
        return f"{len(value):,} images"
    return str(value).lower() if isinstance(value, bool) else str(value)
