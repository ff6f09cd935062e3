# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of the code and the data of each step: the cache key of TFX holds neither.

The code of a step is every project module that its entry module imports, however far down, and the
files beside a module that it names, such as "page.html".
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Sequence

from mixer_tf.checkpoints.initial_weights import weights_state
from mixer_tf.datasets.sources.source import Source
from mixer_tf.serving import locations
from pipeline.configs import SCHEMA_FILE, Fingerprints, PipelineConfig
from pipeline.import_graph import ImportGraph

PROJECT = pathlib.Path(__file__).parents[1]

# The field of Fingerprints → the module that TFX imports to run the step. The other steps run code
# of TFX alone.
ENTRY_MODULES = {
    "image_example_gen": "components.image_example_gen.executor",
    "deduplicator": "components.deduplicator.executor",
    "image_statistics": "components.image_statistics.executor",
    "drift_validator": "components.drift_validator.executor",
    "preprocessor": "components.preprocessor.executor",
    "tuner": "components.tuner.executor",
    "trainer": "components.trainer.executor",
    "evaluator": "components.evaluator.executor",
    "few_shot_evaluator": "components.few_shot_evaluator.executor",
    "model_checker": "components.model_checker.executor",
    "bulk_predictor": "components.bulk_predictor.executor",
    "pusher": "components.pusher.executor",
    "run_report": "components.run_report.executor",
}


def fingerprint_run(
    config: PipelineConfig,
    source: Source,
    test_sets: Sequence[Source] = (),
    keep: Collection[str] = (),
    images: Source | None = None,
) -> Fingerprints:
    """Returns what the steps of `config` depend on, as the code and the data are now.

    Args:
        config: the run.
        source: the open source of the images.
        test_sets: the open downstream test sets.
        keep: the training images that are never removed as duplicates.
        images: the open images to predict.
    """
    code = fingerprint_code()
    test_data = [test_set.fingerprint() for test_set in test_sets]
    weights = _state_of_weights(config.recipe.model.weights)
    return Fingerprints(
        image_example_gen=_digest([source.fingerprint(), code["image_example_gen"]]),
        deduplicator=_digest([*test_data, json.dumps(sorted(keep)), code["deduplicator"]]),
        image_statistics=code["image_statistics"],
        import_schema_gen=_schema(),
        drift_validator=code["drift_validator"],
        preprocessor=code["preprocessor"],
        tuner=_digest([weights, code["tuner"]]),
        trainer=_digest([weights, code["trainer"]]),
        evaluator=code["evaluator"],
        few_shot_evaluator=code["few_shot_evaluator"],
        model_checker=code["model_checker"],
        bulk_predictor=_digest([images.fingerprint() if images else "", code["bulk_predictor"]]),
        pusher=_digest([_newest_version(config.serving_path), code["pusher"]]),
        run_report=code["run_report"],
    )


def fingerprint_offline(config: PipelineConfig) -> Fingerprints:
    """Returns what the steps of `config` depend on, as far as no data and no bucket is opened.

    A step of the pipeline finds the state of the data; see `PipelineConfig.fingerprint_data`.

    Args:
        config: the run.
    """
    code = fingerprint_code()
    return Fingerprints(
        image_example_gen=code["image_example_gen"],
        deduplicator=code["deduplicator"],
        image_statistics=code["image_statistics"],
        import_schema_gen=_schema(),
        drift_validator=code["drift_validator"],
        preprocessor=code["preprocessor"],
        tuner=code["tuner"],
        trainer=code["trainer"],
        evaluator=code["evaluator"],
        few_shot_evaluator=code["few_shot_evaluator"],
        model_checker=code["model_checker"],
        pusher=code["pusher"],
        run_report=code["run_report"],
    )


def fingerprint_code(root: pathlib.Path = PROJECT) -> dict[str, str]:
    """Returns step → a digest of the names and contents of all modules that it imports.

    Files beside a module that it names, such as the style of a page, are part of it.

    Args:
        root: the folder that holds the packages mixer_tf, components and pipeline.
    """
    graph = ImportGraph(root)

    @functools.cache  # most modules belong to several steps
    def texts(module: str) -> list[str]:
        return [f"{name}\n{path.read_text('utf-8')}" for name, path in _files(graph, module)]

    return {
        step: _digest(
            text for module in sorted(graph.closure(entry_module)) for text in texts(module)
        )
        for step, entry_module in ENTRY_MODULES.items()
    }


def _files(graph: ImportGraph, module: str) -> Iterator[tuple[str, pathlib.Path]]:
    yield module, graph.path(module)
    for path in graph.files(module):
        yield f"{module}:{path.name}", path


def _schema() -> str:
    return _digest([pathlib.Path(SCHEMA_FILE).read_text("utf-8")])


def _state_of_weights(weights: str | None) -> str:
    return weights_state(weights) or str(weights)


def _newest_version(folder: str) -> str:
    """A cached push would claim to have pushed what is served already, or was removed since."""
    changed = os.stat(folder).st_mtime_ns if os.path.isdir(folder) else ""
    return f"{locations.list_versions(folder)[-1:]} {changed}"


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
