# SPDX-License-Identifier: Apache-2.0
"""From options to the configuration of a local run: opens the source, once, and claims the root."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

from mixer_tf import console, storage
from mixer_tf.datasets import unlabeled
from mixer_tf.datasets.excluded_images import exclude_listed
from mixer_tf.datasets.sources import opening
from mixer_tf.deduplication import kept_images
from mixer_tf.training import requirements
from pipeline import fingerprints, options
from pipeline.configs import PipelineConfig
from pipeline.local import docker_daemon

_OWNER_FILE = "source.txt"
# The steps on the way to the training, which begins with the Tuner if there is one, and after it.
_TO_TRAINER = (
    *("ImageExampleGen", "Deduplicator", "Preprocessor", "BaseModelResolver", "Tuner", "Trainer"),
)
_FROM_TRAINER = (
    *("Tuner", "Trainer", "Resolver", "Evaluator", "FewShotEvaluator", "ModelChecker"),
    *("InfraValidator", "BulkPredictor", "Pusher", "RunReport"),
)


def prepare(values: dict) -> PipelineConfig:
    """Returns what to run, with the defaults that depend on the source.

    Args:
        values: the keyword arguments of the command.

    Raises:
        ValueError: an option has a bad value, the InfraValidator cannot run here, a source or a
            list of images cannot be read, the default root holds the runs of another
            source, or the recipe's weights cannot be used.
        DownloadError: the recipe's weights cannot be downloaded; the root is not claimed.
    """
    config = options.make_config(values, local_root(values))
    if values["to_step"] in (None, "InfraValidator", "Pusher", "RunReport"):
        docker_daemon.require(config.infra_validator)
    keep = kept_images.read(config.keep_duplicates) if config.keep_duplicates else ()
    source = exclude_listed(opening.open_source(config.source, config.data_dir), config.exclude)
    test_sets = [opening.open_source(spec, config.data_dir) for spec in config.downstream_test_sets]
    images = unlabeled.open_images(config.predict, config.data_dir) if config.predict else None
    config = dataclasses.replace(
        config,
        # A blessed model with other classes is not a baseline: its labels mean something else.
        name=f"{config.name}-{_digest(source.class_names)}",
        fingerprints=fingerprints.fingerprint_run(config, source, test_sets, keep, images),
    )
    if trains(values["from_step"], values["to_step"]):
        requirements.require_weights(config.recipe)
    claim_root(config.root, config.source, is_default=not (values["root"] or values["name"]))
    return config


def trains(from_step: str | None, to_step: str | None) -> bool:
    """Whether a run includes the Trainer or the Tuner.

    It knows that without TFX, which takes seconds to import.

    Args:
        from_step, to_step: the first and the last step; None for all.
    """
    return from_step in (None, *_TO_TRAINER) and to_step in (None, *_FROM_TRAINER)


def claim_root(root: str, source: str, is_default: bool) -> None:
    """Notes the source of a root: two sources may have the same short name.

    Raises:
        ValueError: a default root holds the runs of another source; one that was chosen is taken
            over, with a line on the console.
    """
    path = os.path.join(root, _OWNER_FILE)
    owner = storage.read_text(path) if os.path.exists(path) else source
    if owner != source and is_default:
        raise ValueError(
            f"a root must hold the runs of one source; {console.short_path(root)} is that of "
            f"{owner}, not of {source}. Give this one a --name of its own."
        )
    if owner != source:
        print(f"note: {console.short_path(root)} held the runs of {owner} before, its models too")
    storage.make_folder(root)
    storage.write_text(path, source)


def local_root(values: dict) -> str:
    """Returns the absolute path of the root: the one that was given, or runs/NAME.

    Args:
        values: the keyword arguments of the command.

    Raises:
        ValueError: the root is in a bucket, or TensorFlow would read its path as a pattern.
    """
    root = values["root"]
    if storage.is_remote(root or ""):
        raise ValueError(
            f"--root must be a folder on this machine, because ML Metadata is stored there as "
            f"SQLite; got {root}."
        )
    root = os.path.expanduser(root or os.path.join("runs", options.pipeline_name(values)))
    storage.require_literal(os.path.abspath(root), "--root")
    return os.path.abspath(root)


def _digest(class_names: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(class_names).encode()).hexdigest()[:8]
