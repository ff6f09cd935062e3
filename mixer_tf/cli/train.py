# SPDX-License-Identifier: Apache-2.0
"""`mixer train`: from a source of images to a model, without TFX."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from typing import TYPE_CHECKING

import click

from mixer_tf import console, storage
from mixer_tf.cli import options
from mixer_tf.cli.command import Command, Stopped
from mixer_tf.console import progress_counter
from mixer_tf.evaluation import class_counts
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.messages import visible
from mixer_tf.planning import plan_file
from mixer_tf.training import cluster, interruption
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.profiled_steps import ProfiledSteps

if TYPE_CHECKING:
    from mixer_tf.datasets.quarantine_limit import QuarantineLimit
    from mixer_tf.recipes.schema import Recipe

# Its module, and what installs it where the extra `profiler` was left out.
_PROFILER = "tensorboard_plugin_profile"
_INSTALL = "pip install 'tensorboard-plugin-profile==2.15.0'"


@click.command(cls=Command)
@options.source_options
@options.exclude_option
@options.recipe_options()
@options.shortcut_options
@options.output_option("A new folder for everything that is written. Default: runs/train-NAME.")
@options.quarantine_option
@click.option("--restart", is_flag=True, help="Discard the unfinished training in OUTPUT.")
@click.option(
    "--strategy",
    default="auto",
    show_default=True,
    help=f"Where to train: {', '.join(cluster.STRATEGIES)}.",
)
@click.option(
    "--checkpoint-minutes",
    type=float,
    default=CheckpointOptions.minutes,
    show_default=True,
    help="Save at least every so many minutes, also within an epoch.",
)
@click.option("--checkpoint-steps", type=int, help="Save every so many steps as well.")
@click.option(
    "--keep-checkpoints",
    type=int,
    metavar="N",
    default=CheckpointOptions.keep,
    show_default=True,
    help="Keep the last N, beside the best weights, until the model is written.",
)
@click.option(
    "--profile",
    metavar="FIRST:LAST",
    help="Trace these steps of the training, such as 10:20, for TensorBoard's profiler.",
)
@click.option(
    "--plan",
    "plan_path",
    metavar="FILE",
    callback=options.expand_home,
    help="What `mixer plan --output=FILE` planned, to compare with at the end. Default: what "
    "follows from the first ten seconds.",
)
def train(
    source,
    data_dir,
    exclude,
    recipe_name,
    overrides,
    output,
    max_quarantined,
    restart,
    strategy,
    checkpoint_minutes,
    checkpoint_steps,
    keep_checkpoints,
    profile,
    plan_path,
    **shortcuts,
) -> None:
    """Trains a model on a source of images.

    A split for evaluation or test that the source lacks gets about a tenth of the images, by
    a hash of their paths, so that an image keeps its split when others are added.

    The epoch with the best top-1 on the evaluation split becomes the model, in OUTPUT/serving/1.
    The same command resumes a training that was stopped or killed, also within an epoch, and ends
    with the same model where the operations of the device are deterministic. Ctrl-C and SIGTERM
    let it finish the step and save; the exit code is then 130 or 143. A second Ctrl-C stops at
    once.

    This command does not search for near-duplicates: `mixer dedup` does, and its list of images is
    left out with --exclude. It does not push the model to a server; the pipeline does both.

    \b
    Examples:
      mixer train --source=digits
      mixer train --source=folder:pets --output=pets-model
      mixer train --source=csv:list.csv --recipe=photos --epochs=5
      mixer train --source=digits --set optimizer.ema=0.99 --profile=10:20
    """
    # Before anything is read:
    recipe = options.choose_recipe(recipe_name, source, overrides, **shortcuts)
    request = _Request(
        source=source,
        data_dir=data_dir,
        exclude=exclude,
        recipe=recipe,
        output=output,
        limit=max_quarantined,
        restart=restart,
        strategy=strategy,
        checkpoints=CheckpointOptions(checkpoint_minutes, checkpoint_steps, keep_checkpoints),
        profile=ProfiledSteps.parse(profile) if profile else None,
        planned=plan_file.read(plan_path, recipe) if plan_path else None,
    )
    cluster.parse_strategy(strategy)
    storage.require_literal(output or "", "--output")
    try:
        with interruption.sigterm_raises():
            _train(request)
    except KeyboardInterrupt as stop:
        message = str(stop) or "Stopped; the same command resumes the training."
        raise Stopped(f"\n{message}", getattr(stop, "exit_code", Stopped.INTERRUPTED)) from None


@dataclasses.dataclass(frozen=True)
class _Request:
    """What was asked for, checked as far as possible without reading anything.

    Attributes:
        source, data_dir: what `opening.open_source` takes.
        exclude: the file that lists images to leave out; None for none.
        recipe: the recipe.
        output: the folder for everything; None for the default.
        limit: how many images may be unusable; None for any number.
        restart: whether to discard an unfinished training.
        strategy: a name that `distribution.create_strategy` knows.
        checkpoints: when to save, and how many to keep.
        profile: the steps to trace; None for none.
        planned: the plan to compare with; None without one.
    """

    source: str
    data_dir: str | None
    exclude: str | None
    recipe: Recipe
    output: str | None
    limit: QuarantineLimit | None
    restart: bool
    strategy: str
    checkpoints: CheckpointOptions
    profile: ProfiledSteps | None
    planned: plan_file.PlannedTime | None


def _train(request: _Request) -> None:
    from mixer_tf.datasets.excluded_images import exclude_listed
    from mixer_tf.datasets.info import DatasetInfo
    from mixer_tf.datasets.sources import opening
    from mixer_tf.training import from_source, requirements
    from mixer_tf.training.run_directory import RunDirectory

    recipe, strategy = request.recipe, request.strategy
    if strategy == "multi_worker" or (strategy == "auto" and cluster.num_workers() > 1):
        # Must be created before TensorFlow computes anything, which includes opening a source.
        strategy = requirements.create_strategy(strategy, recipe)
    source = opening.open_source(request.source, request.data_dir)
    opened = exclude_listed(source, request.exclude)
    root = request.output or os.path.join("runs", f"train-{opened.name}")
    folder = RunDirectory(root)
    for note in opened.notes:
        click.echo(f"note: {visible(note)}")
    result = from_source.train_source(
        *(opened, recipe, folder.root),
        strategy=strategy,
        restart=request.restart,
        limit=request.limit,
        progress=progress_counter("reading images"),
        prepared=lambda info: _show_data(info, folder, opened.notes, request.planned),
        checkpoints=request.checkpoints,
        profile=request.profile,
        planned=request.planned,
    )
    if result is None:
        click.echo("note: the training was complete already; nothing is trained")
        return _show_model(folder, request)
    if request.profile:
        how = "under Profile" if importlib.util.find_spec(_PROFILER) else f"with `{_INSTALL}`"
        click.echo(f"profile  is in the logs; TensorBoard shows it {how}")
    _show_result(result, DatasetInfo.read(folder.data), folder, request)


def _show_data(info, folder, shown_notes, planned: plan_file.PlannedTime | None) -> None:
    for note in info.notes:
        if note not in shown_notes:
            click.echo(f"note: {visible(note)}")
    counts = ", ".join(f"{count:,} {split}" for split, count in info.examples.items())
    click.echo(f"images   {counts}; {info.num_classes} classes")
    for note in info.notes_of_classes:
        click.echo(f"note: {visible(note)}")
    unusable = folder.count_quarantined()
    if unusable:
        click.echo(f"unusable {unusable:,}, listed with the reason in {folder.quarantine}")
    note = planned and plan_file.note_on_images(planned, info.examples[TRAIN])
    if note:
        click.echo(f"note: {visible(note)}")


def _show_result(result, info, folder, request: _Request) -> None:
    for note in (*result.notes, *class_counts.notes_of_splits(info.counts, info.class_names)):
        click.echo(f"note: {visible(note)}")
    if result.accuracy is not None:
        _warn_if_not_better_than_one_class(result.accuracy, info.counts[EVAL])
    if result.accuracy is not None:
        click.echo(f"top-1    {result.accuracy:.4f} on the eval split, after epoch {result.epoch}")
    click.echo(f"time     {result.seconds:.0f} s")
    _show_planned(result, request.planned)
    _show_model(folder, request)


def _show_planned(result, planned) -> None:
    """Shows planned against actual; of a resumed training, a plan compares the steps alone."""
    timing = result.timing
    if planned is None and timing.forecast is not None:
        where = "from its first ten seconds"
        planned = plan_file.PlannedTime(
            timing.forecast.seconds, timing.forecast.seconds_per_step, where
        )
    elif planned is not None and result.first_step:
        click.echo("note: the plan is for the whole training; this run has resumed it")
        return
    if planned is not None:
        click.echo(plan_file.compare(planned, result.seconds, timing.seconds_per_step))


def _show_model(folder, request: _Request) -> None:
    """Writes the card of the model; shows where they are, and the commands to type next."""
    from mixer_tf.reports import training_folder

    click.echo(f"model    {folder.model}")
    card = training_folder.write_card(folder.root) if cluster.is_chief() else None
    if card:
        click.echo(f"card     {card}")
    where = [f"--data-dir={request.data_dir}"] if request.data_dir else []
    commands = [
        ("mixer", "evaluate", folder.root, f"--source={request.source}", *where),
        ("mixer", "predict", folder.root, "IMAGE"),
        ("mixer", "report", folder.root),
        ("tensorboard", "--logdir", folder.logs),
    ]
    click.echo("\nnext:")
    for program, *arguments in commands:
        click.echo(f"  {console.command_line(program, *arguments)}")


def _warn_if_not_better_than_one_class(accuracy: float, images: dict[str, int]) -> None:
    num_correct = round(accuracy * sum(images.values()))
    doubt = class_counts.not_better_than_one_class(images, num_correct, class_counts.where(EVAL))
    if doubt:
        click.echo(f"WARNING: {visible(doubt)}")
