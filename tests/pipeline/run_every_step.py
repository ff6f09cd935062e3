# SPDX-License-Identifier: Apache-2.0
"""Runs each executor on a tiny folder, and prints as JSON which project modules each one imported.

    python run_every_step.py IMAGE_FOLDER TEST_IMAGE_FOLDER WORK_FOLDER

Before each step the modules of the project are removed from `sys.modules`, so that one process,
and one import of TFX, is enough. It imports nothing of the project itself.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

import tfx  # noqa: F401
from google.protobuf import json_format
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.types import standard_artifacts

PROJECT = ("mixer_tf", "components", "pipeline")
OVERRIDES = [
    *("model.name=mixer", "model.image_size=16", "model.patch_size=4", "model.num_blocks=1"),
    *("model.hidden_dim=8", "model.tokens_mlp_dim=8", "model.channels_mlp_dim=8"),
    *("training.epochs=1", "training.batch_size=8", "optimizer.ema=0.9", "data.mixup=0.1"),
]


def project_modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in PROJECT]


def forget_project() -> None:
    for name in project_modules():
        del sys.modules[name]


def artifact(folder: str, name: str, kind=standard_artifacts.Examples):
    made = kind()
    made.uri = os.path.join(folder, name)
    os.makedirs(made.uri, exist_ok=True)
    return made


def run(name: str, inputs: dict, outputs: dict, **parameters) -> list[str]:
    """Runs the executor of a component folder in a fresh state, and returns what it imported."""
    forget_project()
    executor = importlib.import_module(f"components.{name}.executor").Executor()
    executor.Do(
        {key: [value] for key, value in inputs.items()},
        {key: [value] for key, value in outputs.items()},
        parameters,
    )
    return project_modules()


def small_recipe() -> str:
    """The recipe as JSON; nothing of the project remains imported."""
    forget_project()
    overridden = importlib.import_module("mixer_tf.recipes").get("digits").override(OVERRIDES)
    recipe = overridden.to_json()
    forget_project()
    return recipe


def train(examples: str, folder: str) -> list[str]:
    """Runs the Trainer's entry point with a small recipe."""
    recipe = small_recipe()
    importlib.import_module("components.trainer.run_fn").run_fn(
        FnArgs(
            train_files=[os.path.join(examples, "Split-train", "*")],
            eval_files=[os.path.join(examples, "Split-eval", "*")],
            serving_model_dir=os.path.join(folder, "model", "Format-Serving"),
            model_run_dir=os.path.join(folder, "logs"),
            custom_config={
                "recipe": recipe,
                "strategy": "default",
                "checkpoint_dir": os.path.join(folder, "checkpoints"),
                "fingerprint": "",
            },
        )
    )
    return project_modules()


def tune(examples: str, folder: str) -> list[str]:
    """Runs the Tuner's executor with one trial, and adds what the process of the trial imports."""
    recipe = small_recipe()
    config = {"recipe": recipe, "grids": ["optimizer.learning_rate=0.01"], "count": None}
    config |= {"strategy": "default", "fingerprint": ""}
    config |= {"trials_dir": os.path.join(folder, "tuning")}
    given = artifact(folder, "ready")
    imported = run(
        "tuner",
        {"examples": given},
        {
            "best_hyperparameters": artifact(folder, "best", standard_artifacts.HyperParameters),
            "tuner_results": artifact(folder, "trials", standard_artifacts.TunerResults),
        },
        custom_config=json.dumps(config),
    )
    forget_project()
    sweep = importlib.import_module("mixer_tf.training.sweep")
    sweep_trials = importlib.import_module("mixer_tf.training.sweep_trials")
    from mixer_tf.recipes.schema import Recipe

    point = ("optimizer.learning_rate=0.02",)
    (trial,) = sweep_trials.make_trials(Recipe.from_json(recipe), [point], [0], folder)
    sweep.train_trial(trial, examples, "default", verbose=False)
    return [*imported, *project_modules()]


def validate_drift(folder: str) -> list[str]:
    """Runs the comparison with an empty reference."""
    statistics = artifact(folder, "feature statistics", standard_artifacts.ExampleStatistics)
    schema = artifact(folder, "schema", standard_artifacts.Schema)
    statistics.split_names = "[]"
    with open(os.path.join(schema.uri, "schema.pbtxt"), "w") as file:
        file.write("feature { name: 'a' type: INT }")
    return run(
        "drift_validator",
        {"statistics": statistics, "schema": schema},
        {
            "anomalies": artifact(folder, "anomalies", standard_artifacts.ExampleAnomalies),
            "next_reference": artifact(folder, "next_reference"),
        },
    )


def evaluate(examples, model, folder: str) -> list[str]:
    """Runs TFMA with the metrics of the pipeline on the test split."""
    config = importlib.import_module("pipeline.eval_config").make_eval_config(0.0, 1.0)
    examples.split_names = '["train", "eval", "test"]'
    return run(
        "evaluator",
        {"examples": examples, "model": model},
        {
            "evaluation": artifact(folder, "evaluation", standard_artifacts.ModelEvaluation),
            "blessing": artifact(folder, "model blessing", standard_artifacts.ModelBlessing),
        },
        eval_config=json_format.MessageToJson(config, preserving_proto_field_name=True),
        example_splits='["test"]',
    )


def write_page(model, pushed, folder: str) -> list[str]:
    """Runs the report on what the other steps have written."""
    given = {"model": model, "pushed_model": pushed, "quarantine": artifact(folder, "quarantine")}
    given["model_run"] = artifact(folder, "logs", standard_artifacts.ModelRun)
    kinds = {"source_examples": "raw", "examples": "ready", "duplicates": "report"}
    kinds["statistics"] = "statistics"
    given |= {name: artifact(folder, each) for name, each in kinds.items()}
    return run(
        "run_report",
        given,
        {"report": artifact(folder, "page")},
        pipeline_name="n",
    )


def main(images: str, test_images: str, folder: str) -> dict[str, list[str]]:
    raw, clean, ready = (artifact(folder, name) for name in ("raw", "clean", "ready"))
    report, quarantine = artifact(folder, "report"), artifact(folder, "quarantine")
    model = artifact(folder, "model", standard_artifacts.Model)
    blessing = artifact(folder, "blessing", standard_artifacts.InfraBlessing)
    pushed = artifact(folder, "pushed", standard_artifacts.PushedModel)
    serving = os.path.join(folder, "serving")
    return {  # in the order in which they run
        "image_example_gen": run(
            "image_example_gen", {}, {"examples": raw}, source=f"folder:{images}"
        ),
        "deduplicator": run(
            "deduplicator",
            {"examples": raw},
            {"deduplicated_examples": clean, "report": report},
            downstream_test_sets=json.dumps([f"folder:{test_images}"]),
            within_train=1,
        ),
        "image_statistics": run(
            "image_statistics", {"examples": clean}, {"report": artifact(folder, "statistics")}
        ),
        "preprocessor": run(
            "preprocessor",
            {"examples": clean},
            {"preprocessed_examples": ready, "quarantine": quarantine},
            train_shorter_side=12,
        ),
        "drift_validator": validate_drift(folder),
        "tuner": tune(ready.uri, folder),
        "trainer": train(ready.uri, folder),
        "evaluator": evaluate(ready, model, folder),
        "few_shot_evaluator": run(
            "few_shot_evaluator",
            {"examples": clean, "model": model},
            {"report": artifact(folder, "probes")},
            shots="[1, 5]",
        ),
        "model_checker": run("model_checker", {"model": model}, {"blessing": blessing}),
        "bulk_predictor": run(
            "bulk_predictor",
            {"model": model},
            {"inference_result": artifact(folder, "result", standard_artifacts.InferenceResult)},
            source=f"images:{images}",
        ),
        "pusher": run(
            "pusher",
            {"model": model, "infra_blessing": blessing},
            {"pushed_model": pushed},
            push_destination=serving,
        ),
        "run_report": write_page(model, pushed, folder),
    }


if __name__ == "__main__":
    print("\n" + json.dumps(main(*sys.argv[1:])))
