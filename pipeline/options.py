# SPDX-License-Identifier: Apache-2.0
"""The command-line options that every runner shares, and the PipelineConfig that they stand for.

It works with names alone: no source is opened. Imports neither TensorFlow nor TFX.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable

import click

from mixer_tf import storage
from mixer_tf.cli.options import (
    EXCLUDE_HELP,
    detail_options,
    numbers_of,
    statistics_limit_options,
    statistics_limits,
    with_details,
)
from mixer_tf.datasets import quarantine_limit, unlabeled
from mixer_tf.datasets.sources import opening
from mixer_tf.deduplication.modes import MIN_THRESHOLD, REMOVE
from mixer_tf.deduplication.thresholds import DUPLICATE
from mixer_tf.messages import require_no_credentials
from mixer_tf.training import cluster
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.search_space import Search
from pipeline.configs import (
    DEDUPLICATE,
    INFRA_VALIDATORS,
    MAX_ACCURACY_DROP,
    OFF,
    PipelineConfig,
)

_OPTIONS = (
    click.option(
        "--source",
        default="digits",
        help="Where the images come from; see above.",
        callback=with_details,
    ),
    detail_options,
    click.option("--data-dir", metavar="PATH", help="Folder of prepared TFDS datasets."),
    click.option("--exclude", metavar="FILE", help=EXCLUDE_HELP),
    click.option(
        "--recipe",
        metavar="NAME",
        help="Model and training; `mixer recipes` lists them. Or a file such as best_recipe.json "
        "of `mixer sweep`. Default: 'digits' for the digits, 'photos' for all other sources.",
        show_default=False,
    ),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Change one field of the recipe, such as optimizer.learning_rate=3e-4. May be "
        "repeated.",
    ),
    click.option(
        "--root",
        metavar="PATH",
        help="Folder for everything that the run writes. Default of the local runner: runs/NAME.",
        show_default=False,
    ),
    click.option(
        "--name", help="Name of the pipeline. Default: made from the source.", show_default=False
    ),
    click.option(
        "--downstream-test-sets",
        "test_sets",
        multiple=True,
        metavar="SOURCE",
        help="A source whose images must not be trained on either. May be repeated.",
    ),
    click.option(
        "--deduplicate",
        type=click.Choice(DEDUPLICATE),
        default=REMOVE,
        help="Training images that are near-duplicates of evaluation or test images, and "
        "evaluation images that are near-duplicates of test images: remove them; remove none, but "
        "mark the evaluation and test images that have a duplicate in training, so that the "
        "Evaluator shows the accuracy with and without them; only report them; or do not search "
        "for them. Those of another class are only reported.",
    ),
    click.option(
        "--deduplicate-train",
        is_flag=True,
        help="Also search for near-duplicates within training; one image of each pair is kept.",
    ),
    click.option(
        "--duplicate-threshold",
        type=click.FloatRange(MIN_THRESHOLD, 1),
        default=DUPLICATE,
        help="Similarity from which two photographs are near-duplicates; 1 finds only equal files.",
    ),
    click.option(
        "--keep-duplicates",
        metavar="FILE",
        help="A file of images that are never removed as duplicates, one per line: the "
        "path that pairs.html shows, or the line of pairs.jsonl.",
    ),
    click.option(
        quarantine_limit.OPTION, metavar=quarantine_limit.METAVAR, help=quarantine_limit.HELP
    ),
    statistics_limit_options,
    click.option(
        "--shorter-side",
        type=click.IntRange(min=1),
        metavar="PIXELS",
        help="Reduce larger training images to this shorter side, once. Short for "
        "--set data.train_shorter_side=PIXELS.",
    ),
    click.option(
        "--min-accuracy",
        type=click.FloatRange(0, 1),
        help="Top-1 accuracy on the test split that a model must reach to be pushed. "
        "Default: above the share of the largest class.",
        show_default=False,
    ),
    click.option(
        "--max-accuracy-drop",
        type=click.FloatRange(0, 1),
        default=MAX_ACCURACY_DROP,
        help="How far top-1 accuracy may fall below the last blessed model's.",
    ),
    click.option(
        "--keep-versions",
        type=click.IntRange(min=0),
        default=5,
        metavar="NUMBER",
        help="Pushed versions that stay; a push removes older ones. 0 keeps all.",
    ),
    click.option(
        "--allow-drift",
        is_flag=True,
        help="Push even if the data have moved away from the last accepted ones: classes, formats "
        "or sizes. The new data become what later runs are compared with.",
    ),
    click.option(
        "--warm-start",
        is_flag=True,
        help="Start the training from the last blessed model of the same classes, as for new "
        "images in the same folder.",
    ),
    click.option(
        "--tune",
        is_flag=True,
        help="Search for hyperparameters before the training, and train with those that are best "
        "on the evaluation split. Each combination is a whole training.",
    ),
    click.option(
        "--grid",
        "grids",
        multiple=True,
        metavar="FIELD=VALUES",
        help="With --tune: values of one field, V1,V2,… or, with --random, LOW..HIGH. May be "
        "repeated. Default: the paper's grid for the recipe, or else a third, once and three times "
        "its learning rate.",
    ),
    click.option(
        "--random",
        "random_count",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --tune: try N random combinations instead of all.",
    ),
    click.option(
        "--few-shot",
        metavar="NUMBERS",
        callback=numbers_of(minimum=1),
        help="Also probe the trained model with so many training images of each class, such as "
        "5,10: linear probes of its features, as `mixer fewshot` has them. They are not a gate.",
        show_default=False,
    ),
    click.option(
        "--infra-validator",
        type=click.Choice(INFRA_VALIDATORS),
        default=OFF,
        help="Also load the model in TensorFlow Serving, and send requests to it, before a push: "
        "in Docker, which the local runner takes, or in Kubernetes for a pipeline that runs there.",
    ),
    click.option(
        "--predict",
        metavar="SOURCE",
        help=f"Classify these images with the model, if it is blessed: {unlabeled.FORM}, or a "
        "source as above, whose labels are ignored. For the local runner only.",
    ),
    click.option(
        "--strategy",
        default="auto",
        help=f"Where to train: {', '.join(cluster.STRATEGIES)}.",
    ),
    click.option(
        "--checkpoint-minutes",
        type=float,
        default=CheckpointOptions.minutes,
        help="Save the training at least every so many minutes, also within an epoch.",
    ),
    click.option("--checkpoint-steps", type=int, help="Save it every so many steps as well."),
    click.option(
        "--keep-checkpoints",
        type=int,
        metavar="N",
        default=CheckpointOptions.keep,
        help="Keep the last N checkpoints, beside the best weights, until the model is exported.",
    ),
    click.option(
        "--profile",
        metavar="FIRST:LAST",
        help="Trace these steps of the training, such as 10:20, for TensorBoard's profiler.",
    ),
    click.option(
        "--no-report", is_flag=True, help="Leave out the last step, which writes a page on the run."
    ),
    click.option("--no-cache", is_flag=True, help="Run every step, even if nothing changed."),
    click.option(
        "--beam",
        multiple=True,
        metavar="OPTIONS",
        help="Options for Apache Beam, passed on unchanged, such as "
        "'--runner=PortableRunner --job_endpoint=localhost:8099'. May be repeated.",
    ),
)


def pipeline_options(command: Callable) -> Callable:
    """Adds the shared options to a click command; it takes them as keyword arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def sources_help() -> str:
    """Returns the kinds of sources as lines of a `--help` text, one below the other."""
    formatter = click.HelpFormatter(width=80)
    with formatter.indentation():
        formatter.write_dl(opening.help_table(), col_spacing=4)
    return formatter.getvalue()


def require_no_secrets(options: dict) -> None:
    """Refuses URLs with credentials in every option but --beam, which is neither stored nor shown.

    Args:
        options: the keyword arguments of a command with `pipeline_options`.

    Raises:
        ValueError: an option has credentials.
    """
    titles = {"data_dir": "data-dir", "test_sets": "downstream-test-sets", "overrides": "set"}
    titles |= {"grids": "grid"}
    require_no_credentials(
        {f"--{titles.get(name, name)}": options[name] for name in options if name != "beam"}
    )


def pipeline_name(options: dict) -> str:
    """Returns the name that was given, or one from the source: "folder:/x/My Pets" → "my-pets"."""
    from mixer_tf.datasets.sources.source import short_name

    return options["name"] or short_name(options["source"])


def make_config(options: dict, root: str) -> PipelineConfig:
    """Returns the configuration that the shared options stand for.

    Args:
        options: the keyword arguments of a command with `pipeline_options`; others are ignored.
        root: the folder or bucket path for everything that the run writes.

    Raises:
        ValueError: an unknown recipe, field or value.
    """
    from mixer_tf import recipes

    name = options["recipe"]
    recipe = recipes.get(name) if name else recipes.default_for(options["source"])
    return PipelineConfig(
        name=pipeline_name(options),
        root=root,
        source=options["source"],
        recipe=recipe.override(_overrides(options)),
        data_dir=options["data_dir"],
        exclude=_absolute_path(options["exclude"]),
        downstream_test_sets=tuple(options["test_sets"]),
        deduplicate=options["deduplicate"],
        deduplicate_train=options["deduplicate_train"],
        duplicate_threshold=options["duplicate_threshold"],
        keep_duplicates=_absolute_path(options["keep_duplicates"]),
        max_quarantined=options["max_quarantined"],
        statistics_limits=statistics_limits(options),
        min_accuracy=options["min_accuracy"],
        max_accuracy_drop=options["max_accuracy_drop"],
        keep_versions=options["keep_versions"] or None,
        allow_drift=options["allow_drift"],
        warm_start=options["warm_start"],
        search=_search(options),
        few_shot=options["few_shot"] or (),
        infra_validator=options["infra_validator"],
        predict=options["predict"],
        strategy=options["strategy"],
        checkpoint_minutes=options["checkpoint_minutes"],
        checkpoint_steps=options["checkpoint_steps"],
        keep_checkpoints=options["keep_checkpoints"],
        profile=options["profile"],
        beam_args=tuple(word for text in options["beam"] for word in shlex.split(text)),
        report=not options["no_report"],
        enable_cache=not options["no_cache"],
    )


def _search(options: dict) -> Search | None:
    given = {"--grid": options["grids"], "--random": options["random_count"]}
    without = [option for option, value in given.items() if value]
    if without and not options["tune"]:
        raise ValueError(
            f"{without[0]} must be given with --tune only; add --tune, or leave it out."
        )
    return Search(tuple(options["grids"]), options["random_count"]) if options["tune"] else None


def _absolute_path(path: str | None) -> str | None:
    if path is None or storage.is_remote(path):
        return path
    return os.path.abspath(os.path.expanduser(path))


def _overrides(options: dict) -> list[str]:
    side = options["shorter_side"]
    shorthand = [] if side is None else [f"data.train_shorter_side={side}"]
    return [*shorthand, *options["overrides"]]
