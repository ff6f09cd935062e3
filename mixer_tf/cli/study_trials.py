# SPDX-License-Identifier: Apache-2.0
"""What the commands of studies with many trainings share: options, progress and summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from mixer_tf import console
from mixer_tf.cli import options
from mixer_tf.messages import visible
from mixer_tf.training import cluster

_STRATEGIES = tuple(name for name in cluster.STRATEGIES if name != "multi_worker")

Describe = Callable[[object], str]


def training_options(default_output: str) -> Callable:
    """Adds the options of every study that trains models.

    Args:
        default_output: the default of --output.
    """
    strategy = click.option(
        "--strategy",
        default="auto",
        show_default=True,
        callback=_strategy_of_one_machine,
        help=f"Where to train: {', '.join(_STRATEGIES)}.",
    )
    output = options.output_option(
        f"A folder for everything that is written, new or of the same study. Default: "
        f"{default_output}."
    )
    return lambda command: options.exclude_option(strategy(output(command)))


def _strategy_of_one_machine(context, option, name: str) -> str:
    try:
        kind, _ = cluster.parse_strategy(name)
    except ValueError as error:
        raise click.UsageError(str(error), context) from None
    if kind == "multi_worker" or (kind == "auto" and cluster.num_workers() > 1):
        raise click.UsageError(
            f"--strategy must be one of {', '.join(_STRATEGIES)}, because a study runs on one "
            f"machine; got several workers{' in TF_CONFIG' if kind == 'auto' else ''}.",
            context,
        )
    return name


def models_option(command: Callable) -> Callable:
    """Adds --models, whose value `choose_models` takes."""
    return click.option(
        "--models",
        metavar="NAMES",
        help="What to compare, separated by commas: models such as mixer_s16, vit_s16 or "
        "bit_r50x1, which are trained as --recipe says, and recipes. Default: the recipe alone. "
        "--set NAME:FIELD=VALUE changes one of them only.",
    )(command)


def measurement_options(command: Callable) -> Callable:
    """Adds --target, --shots, --shot-seeds and --evaluations; see `choose_measurement`."""
    target = click.option(
        "--target",
        "target_source",
        metavar="SOURCE",
        help="Another source of images for the few-shot read-out, such as folder:pets. Default: "
        "the evaluation and test images of --source.",
    )
    shots = click.option(
        "--shots",
        default=5,
        show_default=True,
        type=click.IntRange(1),
        help="Images of each class in the read-out.",
    )
    seeds = click.option(
        "--shot-seeds",
        default="0,1,2",
        show_default=True,
        metavar="S1,S2,...",
        callback=options.numbers_of(minimum=0),
        help="Seeds that choose these images; the mean counts.",
    )
    evaluations = click.option(
        "--evaluations",
        default=20,
        show_default=True,
        type=click.IntRange(1),
        help="How often each training is evaluated; the best state counts.",
    )
    return target(shots(seeds(evaluations(command))))


def choose_measurement(shots: int, shot_seeds: tuple[int, ...], evaluations: int):
    """Returns the Measurement that the options ask for."""
    from mixer_tf.studies.measurement import Measurement

    return Measurement(evaluations, shots, shot_seeds)


def choose_models(models: str | None, recipe_name: str | None, source: str, assignments):
    """Returns the recipes that the options ask for, by name.

    Raises:
        ValueError: a name is unknown, or a change is not possible.
    """
    from mixer_tf import recipes
    from mixer_tf.studies import compared_recipes

    chosen = names(models)
    is_used = compared_recipes.uses_base(chosen) or recipe_name in chosen
    if recipe_name and not is_used:
        raise click.UsageError("--recipe has no effect where --models names recipes only.")
    base = recipes.get(recipe_name) if recipe_name else recipes.default_for(source)
    return compared_recipes.compared_recipes(base, chosen, assignments)


def require_weights(recipes_by_name) -> None:
    """Raises a clear error for each recipe whose initial weights cannot be used."""
    from mixer_tf.training import requirements

    for recipe in recipes_by_name.values():
        requirements.require_weights(recipe)


def names(text: str | None) -> list[str]:
    """Returns the names in a list with commas; [] for None."""
    return [name.strip() for name in text.split(",")] if text else []


def open_data(source: str, data_dir: str | None, exclude: str | None = None):
    """Opens a source, and shows its notes."""
    from mixer_tf.datasets.excluded_images import exclude_listed
    from mixer_tf.datasets.sources import opening

    opened = exclude_listed(opening.open_source(source, data_dir), exclude)
    for note in opened.notes:
        click.echo(f"note: {visible(note)}")
    return opened


def open_study(kind: str, folder, source, target, measurement, strategy: str):
    """Claims a locked folder, prepares its images, and returns their info and MeasuredTraining.

    Args:
        kind: the name of the study.
        folder: the StudyFolder.
        source, target: open sources; the second may be None.
        measurement, strategy: see `MeasuredTraining`.
    """
    from mixer_tf.studies.measured_training import TARGET, MeasuredTraining
    from mixer_tf.studies.study_folder import DATA

    folder.claim(kind, {DATA: source, **({TARGET: target} if target else {})})
    info = prepare(folder, source)
    target_info = prepare(folder, target, TARGET) if target else None
    return info, MeasuredTraining(folder, info, target_info, measurement, strategy)


def prepare(folder, source, name: str | None = None):
    """Writes the images of a source to the folder of a study, and returns their description."""
    from mixer_tf.studies.study_folder import DATA

    with console.progress_counter("reading images") as progress:
        info = folder.prepare(source, name or DATA, progress)
    counts = ", ".join(f"{count:,} {split}" for split, count in info.examples.items())
    click.echo(f"images   {counts}; {info.num_classes} classes")
    for note in (*(n for n in info.notes if n not in source.notes), *info.notes_of_classes):
        click.echo(f"note: {visible(note)}")
    return info


def run_trials(
    trials: Sequence,
    folder,
    train: Callable[[object, Callable[[int, int], None]], dict],
    *,
    work: Callable[[object], float],
    describe: Describe,
    reached: Callable[[dict], str],
    write: Callable[[list[dict]], None],
) -> list[dict]:
    """Runs the trainings of a study with one line for each, and writes the results after each.

    Args:
        trials, folder: see `trials.run`.
        train: trains one trial; its second argument is called with finished and all steps.
        work: the number of images that a training processes.
        describe: returns a short title of a trial.
        reached: returns what a line says about a result.
        write: writes the results so far.
    """
    from mixer_tf.studies import trials as library

    rows: list[dict] = []
    todo = [trial for trial in trials if folder.read_result(trial) is None]
    time_left = library.TimeLeft(todo, work)

    def train_with_progress(trial) -> dict:
        title = visible(f"{len(rows) + 1}/{len(trials)}  {describe(trial)}")
        with console.progress_with_time_left() as show:

            def report(step: int, steps: int) -> None:
                time_left.step(trial, step, steps)
                show(title, step, steps)

            return train(trial, report)

    def finished(trial, result: dict, is_new: bool) -> None:
        rows.append(result)
        write(rows)
        seconds = time_left.finished(trial, is_new)
        left = f"  {console.format_duration(seconds)} left" if seconds else ""
        what = result.get("problem") or reached(result)
        known = "" if is_new else "  (finished before)"
        line = f"{len(rows)}/{len(trials)}  {describe(trial)}  {what}{known}{left}"
        click.echo(visible(line))

    return library.run(trials, folder, train_with_progress, finished)


def output_folder(output: str | None, default: str):
    """Returns the StudyFolder of --output."""
    from mixer_tf.studies.study_folder import StudyFolder

    return StudyFolder(output or default)


def accuracies(row: dict) -> str:
    """Returns what a line says about a row of `MeasuredTraining`."""
    few_shot = f"{row['shots']}-shot {row['few_shot_mean']:.4f}"
    return f"top-1 {row['test_accuracy']:.4f}  {few_shot}"


def write_results(folder, kind: str, summary: dict, columns: Sequence[str], rows) -> None:
    """Writes KIND.json and KIND.csv."""
    from mixer_tf.studies import results

    results.write_json(folder.path(f"{kind}.json"), {"study": kind, **summary}, rows)
    results.write_csv(folder.path(f"{kind}.csv"), columns, rows)


def show_results(folder, names: Sequence[str], rows) -> None:
    """Shows the notes and the files of a study; ends with an error if a training failed."""
    for note in dict.fromkeys(note for row in rows for note in row.get("notes", ())):
        click.echo(f"note: {visible(note)}")
    for name in names:
        click.echo(f"results  {folder.path(name)}")
    failed = sum("problem" in row for row in rows)
    if failed:
        raise click.ClickException(f"{failed} of {len(rows)} trainings failed; see above.")
