# SPDX-License-Identifier: Apache-2.0
"""`mixer study ablations`: trains the variants of token mixing of the paper's supplement."""

from __future__ import annotations

import os

import click

from mixer_tf import console
from mixer_tf.cli import options, study_trials
from mixer_tf.cli.command import Command, resumable

_COLUMNS = (
    *("variant", "seed", "model", "parameters", "multiply_adds", "images", "epochs", "steps"),
    *("best_step", "train_accuracy", "eval_accuracy", "test_accuracy"),
    *("few_shot_mean", "few_shot_deviation", "seconds", "problem"),
)


@click.command(cls=Command)
@options.source_options
@options.recipe_options()
@click.option(
    "--variants",
    metavar="NAMES",
    help="Variants to train, separated by commas. Default: those of supplement A.1: unchanged, "
    "untied, channel_groups, channel_views and pyramid. Those of A.2, for fine-tuning, are mixup, "
    "polyak and inception_crop.",
)
@click.option(
    "--seeds",
    metavar="S1,S2,...",
    callback=options.numbers_of(minimum=0),
    help="Train each variant once with each seed, and compare the means. Default: the recipe's own "
    "seed.",
)
@study_trials.measurement_options
@study_trials.training_options("runs/ablations-NAME")
def ablations(
    source,
    data_dir,
    exclude,
    recipe_name,
    overrides,
    variants,
    seeds,
    target_source,
    shots,
    shot_seeds,
    evaluations,
    strategy,
    output,
) -> None:
    """Trains a Mixer with each change that the paper tried, and compares them.

    untied: a separate token-mixing MLP for each channel; channel_groups: an MLP mixes the tokens of
    2 channels together; channel_views: the same for 2 learned views of each token; pyramid: half of
    the tokens after half of the blocks. Everything else is as in the recipe. The state that is best
    on the evaluation split counts. Differences smaller than those between seeds mean nothing: use
    several with --seeds.

    OUTPUT gets ablations.json with all results and ablations.csv. Each result is stored at once:
    the same command resumes a study that was stopped, and with further variants or seeds it trains
    only those.

    \b
    Examples:
      mixer study ablations --source=tfds:cifar10 --recipe=cifar10
      mixer study ablations --source=folder:pets --seeds=0,1,2 --set training.epochs=20
      mixer study ablations --source=tfds:cifar10 --recipe=finetune_cifar10 \\
        --variants=unchanged,mixup,polyak,inception_crop
    """
    from mixer_tf.studies.ablation_variants import OF_TOKEN_MIXING, make_trials

    recipe = options.choose_recipe(recipe_name, source, overrides)
    measurement = study_trials.choose_measurement(shots, shot_seeds, evaluations)
    names = study_trials.names(variants) or OF_TOKEN_MIXING
    trials = make_trials(recipe, names, seeds, measurement)
    study_trials.require_weights({trial.settings["variant"]: trial.recipe for trial in trials})
    with resumable("the study"):
        opened = study_trials.open_data(source, data_dir, exclude)
        other = study_trials.open_data(target_source, data_dir) if target_source else None
        folder = study_trials.output_folder(
            output, os.path.join("runs", f"ablations-{opened.name}")
        )
        rows = _run(opened, other, folder, trials, measurement, strategy)
    _show(rows, shots)
    study_trials.show_results(folder, ("ablations.json", "ablations.csv"), rows)


def _run(source, target, folder, trials, measurement, strategy) -> list[dict]:
    from mixer_tf.features import TRAIN

    summary = {"source": source.spec, "target": target and target.spec}
    with folder.lock():
        _, training = study_trials.open_study(
            "ablations", folder, source, target, measurement, strategy
        )
        return study_trials.run_trials(
            trials,
            folder,
            lambda trial, report: training.train(trial, training.splits[TRAIN], report),
            work=training.work,
            describe=lambda trial: f"{trial.settings['variant']}, seed {trial.settings['seed']}",
            reached=study_trials.accuracies,
            write=lambda rows: study_trials.write_results(
                folder, "ablations", summary, _COLUMNS, rows
            ),
        )


def _show(rows, shots: int) -> None:
    from mixer_tf.studies.ablations import summarize

    table = [
        (
            *(score.variant, f"{score.parameters:,}", f"{score.multiply_adds / 1e6:,.2f} M"),
            *(_with_deviation(score, key) for key in ("test_accuracy", "few_shot_mean")),
            *(_gain(score, key) for key in ("test_accuracy", "few_shot_mean")),
            "" if score.seconds is None else f"{score.seconds:,.0f}",
            str(score.seeds),
        )
        for score in summarize(rows)
    ]
    few_shot = f"{shots}-shot"
    header = ("variant", "parameters", "multiply-adds", "test top-1", few_shot)
    header += ("Δ test", f"Δ {few_shot}", "seconds", "seeds")
    click.echo("\n" + console.format_table(header, table) + "\n")


def _with_deviation(score, key: str) -> str:
    deviation = score.deviations[key]
    return f"{score.means[key]:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _gain(score, key: str) -> str:
    return "" if score.gains[key] is None else f"{score.gains[key]:+.4f}"
