# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of code and data, since the cache key of TFX holds neither."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Iterable

from mixer_tf.datasets.sources import opening
from mixer_tf.serving import locations
from pipeline.configs import Fingerprints, PipelineConfig

_ROOT = pathlib.Path(__file__).parent.parent
_DATA = ("mixer_tf/features.py", "mixer_tf/images*", "mixer_tf/datasets")
_TRAINING = (
    *_DATA,
    "mixer_tf/models",
    "mixer_tf/checkpoints",
    "mixer_tf/recipes",
    "mixer_tf/serving",
    "mixer_tf/training",
)
_PUSHING = ("mixer_tf/serving/locations.py", "components/pusher")


def fingerprint_run(config: PipelineConfig) -> Fingerprints:
    """Returns what the steps of `config` depend on, as the code and the data are now."""
    images = opening.open_source(config.source, config.data_dir).fingerprint()
    test_sets = [
        opening.open_source(spec, config.data_dir).fingerprint()
        for spec in config.downstream_test_sets
    ]
    return Fingerprints(
        image_example_gen=_digest(
            [images, _code(*_DATA, "components/records.py", "components/image_example_gen")]
        ),
        deduplicator=_digest(
            [*test_sets, _code(*_DATA, "components/records.py", "components/deduplicator")]
        ),
        preprocessor=_code(*_DATA, "components/records.py", "components/preprocessor"),
        trainer=_digest([_state(config.recipe.model.weights), _code(*_TRAINING)]),
        model_checker=_code("components/model_checker"),
        pusher=_digest([_newest_version(config.serving_path), _code(*_PUSHING)]),
    )


def _state(weights: str | None) -> str:
    """Sizes and times of the files of a checkpoint; of a published one its name says it all."""
    path = pathlib.Path(weights or "").expanduser()
    if not weights or not path.exists():
        return str(weights)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(str(file), file.stat()) for file in files if file.is_file()]
    return str([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


def _newest_version(folder: str) -> str:
    """A cached push would claim to have pushed what is served already, or was removed since."""
    changed = os.stat(folder).st_mtime_ns if os.path.isdir(folder) else ""
    return f"{locations.list_versions(folder)[-1:]} {changed}"


def _code(*patterns: str) -> str:
    """A digest of every Python file below the files and folders that match."""
    paths = {path for pattern in patterns for path in _python_files(pattern)}
    return _digest(
        f"{path.relative_to(_ROOT)}\n{path.read_text('utf-8')}" for path in sorted(paths)
    )


def _python_files(pattern: str) -> Iterable[pathlib.Path]:
    for path in _ROOT.glob(pattern):
        yield from path.rglob("*.py") if path.is_dir() else [path]


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
