# SPDX-License-Identifier: Apache-2.0
"""Facts of a run with every section, and with names that a page could take for markup."""

import dataclasses

import pytest
from click.testing import CliRunner

from mixer_tf import recipes
from mixer_tf.cli import main
from mixer_tf.reports import facts, recipe_changes
from mixer_tf.reports.facts import RunFacts

HOSTILE = "</script><img src=x onerror=window.hacked=1>"


@pytest.fixture
def full() -> RunFacts:
    recipe = recipes.get("digits").override(["training.epochs=3", "data.mixup=0.25"])
    return RunFacts(
        kind=facts.PIPELINE,
        name="pets",
        root="/r",
        started="2026-11-26T16:02:29+00:00",
        run="2026-11-26T16:02:29.260857",
        code_version="0.1.0",
        options=("--deduplicate=mark",),
        model="/r/Trainer/model/11/Format-Serving",
        data=facts.DataFacts(
            source=f"folder:/{HOSTILE}",
            class_names=("cat", HOSTILE),
            counts={"train": {"cat": 1200, HOSTILE: 3}, "test": {"cat": 100}},
            read={"train": 1210, "test": 100},
            notes=(f"class folder {HOSTILE!r} is empty",),
        ),
        quarantine=facts.QuarantineFacts(2, {"no label": (2, HOSTILE)}, "/r/quarantine.jsonl"),
        duplicates=facts.DuplicateFacts(
            "remove", {"train": 7}, {"test": 7}, {"test": 0}, {"labels differ": 1}, "/r/pairs.html"
        ),
        statistics=facts.StatisticsFacts(
            {"train": {"sizes": "8×8"}}, (f"{HOSTILE} is darker",), "/r/statistics.html"
        ),
        recipe=dataclasses.replace(
            recipe_changes.describe(recipe, 2), tuned={"optimizer.learning_rate": 0.01}
        ),
        training=facts.TrainingFacts(
            "/r/logs/pets",
            {
                "train/loss": ((20, 2.0), (40, None), (60, 1.0)),
                "eval/top_1": ((20, 0.25), (60, 0.5)),
            },
            seconds=75.0,
        ),
        evaluation=facts.EvaluationFacts(
            split="test",
            metrics={"accuracy": 0.875, "example_count": 104.0},
            classes={"cat": (100, 90), HOSTILE: (4, 1)},
            mistaken_for={HOSTILE: "cat"},
            slices={"with a duplicate in training": (10, 1.0)},
            mistakes=(facts.Mistake(HOSTILE, HOSTILE, "cat", 0.991),),
            num_mistakes=13,
            warnings=("the model predicted 'cat' for all images",),
            notes=("classes never recognized: none",),
        ),
        gates=(
            facts.Gate("Evaluator", False, ("accuracy 0.8750, required 0.9000",)),
            facts.Gate("ModelChecker", True),
            facts.Gate("InfraValidator", None),
        ),
        push=facts.PushFacts(False, reason="the Evaluator did not bless the model"),
        steps=(
            facts.StepFacts("Trainer", "complete", 11, 20.5, {"examples": (6,)}, {"model": (13,)}),
            facts.StepFacts("Pusher", "failed", 14, None, {"model": (13,)}),
        ),
        artifacts=(
            facts.ArtifactFacts(6, "Examples", "Preprocessor.examples", "/r/examples/7"),
            facts.ArtifactFacts(13, "Model", "Trainer.model", f"/r/{HOSTILE}"),
        ),
        commands=(facts.Command("run again", f"python -m x '{HOSTILE}'"),),
        others=(facts.OtherResult("few shot", {"5-shot": "0.81"}, "/r/fewshot.json"),),
    )


@pytest.fixture
def mixer():
    """Runs `mixer` in this process."""

    def invoke(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke
