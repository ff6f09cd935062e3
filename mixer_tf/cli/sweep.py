# SPDX-License-Identifier: Apache-2.0
"""`mixer sweep`: trains a recipe with several hyperparameters and chooses the best."""

from __future__ import annotations

import os
import time

import click

from mixer_tf import console
from mixer_tf.cli import options
from mixer_tf.cli.command import Command, resumable
from mixer_tf.messages import visible
from mixer_tf.training import cluster, search_space


@click.command(cls=Command)
@options.source_options
@options.exclude_option
@options.recipe_options()
@options.shortcut_options
@click.option(
    "--grid",
    "grids",
    multiple=True,
    metavar="FIELD=VALUES",
    help="Values of one field: V1,V2,… or, with --random, LOW..HIGH. May be repeated. Default: the "
    "paper's grid for the recipe, or else a third, once and three times its learning rate.",
)
@click.option(
    "--random",
    "count",
    type=click.IntRange(1),
    metavar="N",
    help="Try N random combinations instead of all.",
)
@click.option(
    "--seeds",
    metavar="S1,S2,...",
    callback=options.numbers_of(minimum=0),
    help="Train each combination once with each seed, and compare the means. Default: the recipe's "
    "own seed.",
)
@click.option(
    "--parallel",
    type=click.IntRange(1),
    metavar="N",
    help="Trainings at a time, each on a GPU of its own. Default: the number of GPUs, at least 1.",
)
@click.option(
    "--strategy",
    default="auto",
    show_default=True,
    help=f"Where a training runs: {', '.join(cluster.STRATEGIES)}.",
)
@options.quarantine_option
@options.output_option("A new folder for everything that is written. Default: runs/sweep-NAME.")
def sweep(
    source,
    data_dir,
    exclude,
    recipe_name,
    overrides,
    grids,
    count,
    seeds,
    parallel,
    strategy,
    max_quarantined,
    output,
    **shortcuts,
) -> None:
    """Trains a recipe with several hyperparameters and chooses the best.

    The evaluation split decides: held-out training images, never the test images. The same command
    resumes a search that was stopped, and with other values it keeps what is finished. After Ctrl-C
    and SIGTERM, the trainings finish their step and save; a second Ctrl-C stops at once. The best
    recipe is written to OUTPUT/best_recipe.json, and a table of all trainings to
    OUTPUT/results.csv.

    \b
    Examples:
      mixer sweep --source=folder:pets
      mixer sweep --source=tfds:cifar10 --splits='eval=train[98%:]' \\
        --recipe=finetune_cifar10 --seeds=0,1,2
      mixer sweep --source=digits --random=10 \\
        --grid optimizer.learning_rate=1e-4..1e-2 --grid data.mixup=0,0.2,0.5
    """
    recipe = options.choose_recipe(recipe_name, source, overrides, **shortcuts)
    cluster.parse_strategy(strategy)
    points = search_space.Search(tuple(grids), count).points(recipe)
    seeds = seeds or (recipe.training.seed,)
    from mixer_tf.datasets.excluded_images import exclude_listed
    from mixer_tf.datasets.sources import opening
    from mixer_tf.training import from_source, gpus, sweep_trials
    from mixer_tf.training import sweep as trial_processes
    from mixer_tf.training.run_directory import RunDirectory

    opened = exclude_listed(opening.open_source(source, data_dir), exclude)
    root = output or os.path.join("runs", f"sweep-{opened.name}")
    state = f"{opened.spec} {opened.fingerprint()}"
    trials = sweep_trials.make_trials(recipe, points, seeds, root, state)
    folder = RunDirectory(root)
    for note in opened.notes:
        click.echo(f"note: {visible(note)}")
    with resumable("the search"), folder.lock():
        with console.progress_counter("reading images") as progress:
            info = from_source.prepare(opened, recipe, folder, progress, limit=max_quarantined)
        _require_evaluation(info)
        click.echo(f"trials   {_count(points, seeds)}")
        results = trial_processes.run(
            trials,
            folder.data,
            strategy=strategy,
            parallel=parallel or gpus.count_gpus(),
            finished=_Progress(len(trials), len(seeds) > 1),
        )
        best = sweep_trials.write_results(recipe, results, root)
    images = [f"--source={source}"]
    images += [f"--data-dir={data_dir}"] * bool(data_dir) + [f"--exclude={exclude}"] * bool(exclude)
    _show(sweep_trials.scores(results), best, root, images)


class _Progress:
    """Prints one line for each finished trial, with the time left."""

    def __init__(self, total: int, has_seeds: bool):
        self._total, self._done, self._has_seeds = total, 0, has_seeds
        self._start = time.monotonic()

    def __call__(self, result) -> None:
        self._done += 1
        seed = [f"seed {result.trial.seed}"] if self._has_seeds else []
        name = " ".join([*result.trial.point, *seed])
        reached = result.problem or f"top-1 {result.accuracy:.4f}"
        left = self._total - self._done
        seconds = (time.monotonic() - self._start) / self._done * left
        eta = f"  {seconds:,.0f} s left" if left else ""
        click.echo(f"{self._done}/{self._total}  {visible(name)}  {visible(reached)}{eta}")


def _require_evaluation(info) -> None:
    from mixer_tf.features import EVAL

    if not info.examples.get(EVAL):
        raise click.ClickException(
            "a search requires an evaluation split to choose by; the source has none. Use "
            "--splits, or leave out the split folders."
        )


def _count(points, seeds) -> str:
    of_seeds = f" × {len(seeds)} seeds" if len(seeds) > 1 else ""
    return f"{len(points):,} combinations{of_seeds}"


def _show(scores, best: str | None, root: str, images: list[str]) -> None:
    """Prints the results, and the commands to type next; `images` are the options of the source."""
    header = ("hyperparameters", "top-1", "deviation", "seeds")
    rows = [
        (
            " ".join(score.point),
            f"{score.mean:.4f}" if score.mean >= 0 else "failed",
            "" if score.deviation is None else f"{score.deviation:.4f}",
            str(len(score.accuracies)),
        )
        for score in scores
    ]
    click.echo("\n" + console.format_table(header, rows))
    click.echo(f"\nresults  {os.path.join(root, 'results.csv')}")
    if best is None:
        raise click.ClickException("every training failed; their outputs are in the trials/ folder")
    click.echo(f"best     {best}\n\nnext:")
    click.echo(f"  {console.command_line('mixer', 'train', *images, f'--recipe={best}')}")
    click.echo(f"  {console.command_line('tensorboard', '--logdir', os.path.join(root, 'trials'))}")
