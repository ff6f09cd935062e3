# SPDX-License-Identifier: Apache-2.0
"""`mixer study scaling`: how much several models gain from more training images."""

from __future__ import annotations

import os

import click

from mixer_tf import console
from mixer_tf.cli import options, study_trials
from mixer_tf.cli.command import Command, resumable

_COLUMNS = (
    *("model", "share", "images", "epochs", "steps", "best_step", "parameters", "multiply_adds"),
    *("train_accuracy", "eval_accuracy", "test_accuracy"),
    *("few_shot_mean", "few_shot_deviation", "seconds", "problem"),
)
_TABLE = ("model", "share", "images", "epochs", "best step", "eval top-1", "test top-1")


@click.command(cls=Command)
@options.source_options
@options.recipe_options()
@study_trials.models_option
@click.option(
    "--shares",
    default="3,10,30,100",
    show_default=True,
    metavar="PERCENT,...",
    help="Parts of the training images, in percent.",
)
@study_trials.measurement_options
@click.option("--subset-seed", default=0, show_default=True, help="Another one: other subsets.")
@study_trials.training_options("runs/scaling-NAME")
def scaling(
    source,
    data_dir,
    exclude,
    recipe_name,
    overrides,
    models,
    shares,
    target_source,
    shots,
    shot_seeds,
    evaluations,
    subset_seed,
    strategy,
    output,
) -> None:
    """Shows how much several models gain from more training images.

    Each model is trained on nested parts of the training images, all for the same number of steps:
    a recipe of 7 epochs trains 3 % of the images for 233 epochs. The state that is best on the
    evaluation split counts, and is measured by a linear probe on the features of 5 images of each
    class, as in the right half of the paper's Figure 2. An image belongs to a part by a hash of
    its path, so that the same images are chosen everywhere.

    OUTPUT gets scaling.json with all results, scaling.csv and scaling.png. Each result is stored at
    once: the same command resumes a study that was stopped, and with further models or shares it
    trains only those.

    \b
    Examples:
      mixer study scaling --source=tfds:cifar10 --recipe=cifar10
      mixer study scaling --source=folder:photos --target=folder:pets \\
        --recipe=photos --models=mixer_s16,vit_s16,bit_r50x1 --set training.epochs=30
      mixer study scaling --source=tfds:cifar10 --models=cifar10_mixer4,cifar10_bit \\
        --shares=10,100 --set cifar10_bit:optimizer.learning_rate=1e-3
    """
    from mixer_tf.studies.scaling_trials import make_trials

    recipes = study_trials.choose_models(models, recipe_name, source, overrides)
    measurement = study_trials.choose_measurement(shots, shot_seeds, evaluations)
    trials = make_trials(recipes, _shares(shares), subset_seed, measurement)
    study_trials.require_weights(recipes)
    with resumable("the study"):
        opened = study_trials.open_data(source, data_dir, exclude)
        other = study_trials.open_data(target_source, data_dir) if target_source else None
        folder = study_trials.output_folder(output, os.path.join("runs", f"scaling-{opened.name}"))
        rows = _run(opened, other, folder, trials, measurement, strategy)
    _show(rows, shots)
    study_trials.show_results(folder, ("scaling.json", "scaling.csv", "scaling.png"), rows)


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part.strip().removesuffix("%")) / 100 for part in text.split(","))
    except ValueError:
        raise click.UsageError(
            f"--shares must be percentages such as 3,10,30,100; got {text!r}."
        ) from None


def _run(source, target, folder, trials, measurement, strategy) -> list[dict]:
    from mixer_tf.studies import scaling as library
    from mixer_tf.studies import scaling_plot

    summary = {"source": source.spec, "target": target and target.spec}
    with folder.lock():
        info, training = study_trials.open_study(
            "scaling", folder, source, target, measurement, strategy
        )
        study = library.ScalingStudy(training, folder, info, source.relative_name)
        rows = study_trials.run_trials(
            trials,
            folder,
            study.train,
            work=training.work,
            describe=lambda trial: f"{trial.model} {_percent(trial.settings['share'])}",
            reached=study_trials.accuracies,
            write=lambda rows: study_trials.write_results(
                folder, "scaling", summary, _COLUMNS, rows
            ),
        )
        scaling_plot.draw(rows, folder.path("scaling.png"))
    return rows


def _show(rows, shots: int) -> None:
    table = [
        (
            *(row["model"], _percent(row["share"]), f"{row['images']:,}", f"{row['epochs']:.3g}"),
            f"{row['best_step']:,} of {row['steps']:,}",
            *(f"{row[key]:.4f}" for key in ("eval_accuracy", "test_accuracy", "few_shot_mean")),
            "" if row["few_shot_deviation"] is None else f"{row['few_shot_deviation']:.4f}",
        )
        for row in rows
        if "problem" not in row
    ]
    header = (*_TABLE, f"{shots}-shot", "deviation")
    click.echo("\n" + console.format_table(header, table) + "\n")


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
