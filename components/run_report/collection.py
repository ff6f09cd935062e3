# SPDX-License-Identifier: Apache-2.0
"""From the artifacts of a pipeline run to its facts; the step RunReport and local runs share it."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Mapping

from tfx.types import Artifact

from components.evaluation_thresholds import missed_thresholds
from components.evaluations import read_class_counts, read_metrics
from components.model_facts import Artifacts, collect_model
from components.pusher import gates
from components.training_config import LOGS_FILE
from mixer_tf import storage
from mixer_tf.datasets import validation
from mixer_tf.evaluation import fewshot_report
from mixer_tf.recipes.schema import Recipe
from mixer_tf.reports import curves, data_facts, image_reports, mistake_facts, recipe_changes
from mixer_tf.reports.facts import (
    RECORDS,
    ArtifactFacts,
    Command,
    EvaluationFacts,
    Gate,
    OtherResult,
    PushFacts,
    RunFacts,
    TrainingFacts,
)

# Name of the input → the step and its output.
OUTPUTS = {
    "source_examples": ("ImageExampleGen", "examples"),
    "duplicates": ("Deduplicator", "report"),
    "statistics": ("ImageStatistics", "report"),
    "anomalies": ("ExampleValidator", "anomalies"),
    "drift": ("DriftValidator", "anomalies"),
    "examples": ("Preprocessor", "preprocessed_examples"),
    "quarantine": ("Preprocessor", "quarantine"),
    "hyperparameters": ("Tuner", "best_hyperparameters"),
    "model": ("Trainer", "model"),
    "model_run": ("Trainer", "model_run"),
    "evaluation": ("Evaluator", "evaluation"),
    "few_shot": ("FewShotEvaluator", "report"),
    "model_blessing": ("Evaluator", "blessing"),
    "infra_blessing": ("ModelChecker", "blessing"),
    "server_blessing": ("InfraValidator", "blessing"),
    "pushed_model": ("Pusher", "pushed_model"),
}
# The gates of the Pusher, by its inputs. The last one is optional.
_GATES = ("anomalies", "drift", "model_blessing", "infra_blessing", "server_blessing")
_OPTIONAL = ("drift", "server_blessing")

_LOCAL_RUNNER = "python -m pipeline.local_runner"


def collect(run: RunFacts, artifacts: Artifacts, recipe: Recipe | None = None) -> RunFacts:
    """Returns the facts of a run with all that its artifacts say.

    Args:
        run: what is known without them.
        artifacts: input of RunReport → artifacts; a step that did not run has none.
        recipe: the recipe of a run that has no model; None if it is not known.
    """
    uris = {name: found[0].uri for name, found in artifacts.items() if found}
    run = collect_model(run, artifacts, recipe)
    run = dataclasses.replace(
        run,
        evaluation=_with_mistakes(run.evaluation, uris),
        quarantine=_quarantine(uris),
        duplicates=_read(image_reports.read_duplicates, uris, "duplicates"),
        statistics=_read(image_reports.read_statistics, uris, "statistics"),
        training=_training(uris),
        gates=tuple(_gate(name, artifacts, uris) for name in _GATES if _is_shown(name, uris)),
        push=_push(artifacts),
        others=tuple(filter(None, [_read(_few_shot, uris, "few_shot")])),
        artifacts=tuple(
            _artifact(name, each) for name in OUTPUTS for each in artifacts.get(name, ())
        ),
    )
    return dataclasses.replace(run, commands=_commands(run))


def _with_mistakes(
    evaluation: EvaluationFacts | None, uris: Mapping[str, str]
) -> EvaluationFacts | None:
    """Adds those that the Evaluator has listed; a version that lists none leaves them unknown."""
    found = mistake_facts.read(uris["evaluation"]) if evaluation else {}
    if not found:
        return evaluation
    number = sum(images - correct for images, correct in evaluation.classes.values())
    return dataclasses.replace(evaluation, num_mistakes=number, **found)


def _read(read, uris: Mapping[str, str], name: str):
    return read(uris[name]) if name in uris else None


def _quarantine(uris: Mapping[str, str]):
    if "quarantine" not in uris:
        return None
    return data_facts.read_quarantine(os.path.join(uris["quarantine"], validation.FILE_NAME))


def _training(uris: Mapping[str, str]) -> TrainingFacts | None:
    folder = _log_folder(uris["model_run"]) if "model_run" in uris else ""
    return curves.read_training(folder) if folder else None


def _log_folder(model_run: str) -> str:
    """The folder that the ModelRun artifact names, or the run within it; "" where it is gone."""
    path = os.path.join(model_run, LOGS_FILE)
    if storage.exists(path):
        folder = storage.read_text(path).strip()
        return folder if storage.is_folder(folder) else ""
    names = storage.list_names(model_run) if storage.is_folder(model_run) else []
    folders = [os.path.join(model_run, name) for name in names]
    return next((folder for folder in reversed(folders) if storage.is_folder(folder)), "")


def _few_shot(folder: str) -> OtherResult:
    path = os.path.join(folder, fewshot_report.JSON_FILE)
    results = json.loads(storage.read_text(path))["results"]
    return OtherResult("Linear probes of the features", fewshot_report.by_shots(results), path)


def _is_shown(name: str, uris: Mapping[str, str]) -> bool:
    return name in uris or name not in _OPTIONAL


def _gate(name: str, artifacts: Artifacts, uris: Mapping[str, str]) -> Gate:
    step, found = OUTPUTS[name][0], artifacts.get(name)
    if not found:
        return Gate(step, None)
    reasons = gates.reasons_not_to_push({name: found})
    if reasons and name == "model_blessing" and read_metrics(uris["evaluation"]):
        reasons += missed_thresholds(uris["evaluation"])
        reasons += filter(None, [read_class_counts(uris["evaluation"]).not_better_than_one_class()])
    return Gate(step, not reasons, tuple(reasons))


def _push(artifacts: Artifacts) -> PushFacts | None:
    for pushed in artifacts.get("pushed_model", ()):
        return PushFacts(
            pushed=pushed.get_int_custom_property("pushed") == 1,
            destination=pushed.get_string_custom_property("pushed_destination"),
            reason=pushed.get_string_custom_property("reason"),
        )
    return None


def _artifact(name: str, artifact: Artifact) -> ArtifactFacts:
    return ArtifactFacts(artifact.id, artifact.type_name, ".".join(OUTPUTS[name]), artifact.uri)


def _commands(run: RunFacts) -> tuple[Command, ...]:
    found = [Command("run the pipeline again, on one machine", _run_again(run))]
    model = run.push.destination if run.push and run.push.pushed else run.model
    if model:
        found.append(Command("classify an image", shlex.join(["mixer", "predict", model, "IMAGE"])))
    if run.training:
        logs = os.path.dirname(run.training.log_dir)
        title = "show the curves of all trainings in TensorBoard"
        found.append(Command(title, shlex.join(["tensorboard", "--logdir", logs])))
    if _is_local(run):
        found.append(_report_again(run))
        found.append(Command("compare the runs", shlex.join(["mixer", "runs", run.root])))
    return tuple(found)


def _report_again(run: RunFacts) -> Command:
    """Where the Evaluator has listed no mistakes, the command finds them."""
    title, words = "make this page again", ["mixer", "report", run.root]
    if run.evaluation is None or run.evaluation.mistakes is None:
        title, words = f"{title}, with the mistakes", [*words, "--evaluate"]
    return Command(title, shlex.join(words))


def _is_local(run: RunFacts) -> bool:
    """Whether the root holds runs of the local runner, which keeps records there."""
    is_here = bool(run.root) and not storage.is_remote(run.root)
    return is_here and storage.is_folder(os.path.join(run.root, RECORDS))


def _run_again(run: RunFacts) -> str:
    words = [f"--source={run.data.source}"] if run.data else []
    if run.recipe:
        words += recipe_changes.option_words(run.recipe, run.recipe.tuned, run.model)
    words += run.options
    if _is_local(run):
        words.append(f"--root={run.root}")
    return f"{_LOCAL_RUNNER} {shlex.join(words)}"
