# SPDX-License-Identifier: Apache-2.0
"""`mixer dedup`: finds training images that are duplicates of test images, without TFX."""

from __future__ import annotations

import os

import click

from mixer_tf import console
from mixer_tf.cli.command import Command, resumable
from mixer_tf.cli.options import expand_home
from mixer_tf.datasets import unlabeled
from mixer_tf.datasets.sources import opening
from mixer_tf.deduplication.modes import MIN_THRESHOLD, REMOVE, REPORT
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.messages import visible


@click.command(cls=Command)
@click.option(
    "--train", required=True, metavar="SOURCE", help=f"The training images: {opening.forms()}."
)
@click.option(
    "--against",
    multiple=True,
    metavar="NAME=SOURCE",
    help="Other images, none of which should be trained on, whatever its split, and a name for "
    f"them. Also {unlabeled.FORM}, for images without classes. May be repeated.",
)
@click.option("--out", required=True, metavar="DIR", help="A new folder for all results.")
@click.option(
    "--within",
    is_flag=True,
    help="Also compare the training images with each other; one image of each pair stays. Every "
    "process then needs about 20 kB of memory for each of them, and this one 32.",
)
@click.option(
    "--ignore-splits",
    is_flag=True,
    help="Take all images of --train as training images. Without it, those of its evaluation and "
    "test splits are what training images are compared with, as in a training.",
)
@click.option(
    "--threshold",
    type=float,
    metavar="SIMILARITY",
    help=f"Similarity from which two photographs are duplicates, {MIN_THRESHOLD} to 1. Lower "
    "finds more copies that were cropped or edited, and more pairs of different images that only "
    "look alike; higher finds fewer of both, and 1 only files with equal bytes. Default: the value "
    "of the pipeline, whose rates are in the documentation of its Deduplicator. Look at the least "
    "certain pairs of report.html before you change it.",
)
@click.option(
    "--mode",
    type=click.Choice([REMOVE, REPORT]),
    default=REMOVE,
    show_default=True,
    help="remove: also write removed.txt, the list of images to leave out. report: only the pairs "
    "and the report.",
)
@click.option(
    "--keep-duplicates",
    metavar="FILE",
    callback=expand_home,
    help="A file of images that are never listed in removed.txt, one per line: the path or id that "
    "report.html or pairs.csv shows, or the line of pairs.jsonl.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of processes. Default: one for each processor.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Replace the results of another comparison in DIR; what was read for it is used where "
    "possible.",
)
@click.option("--data-dir", metavar="PATH", help="Where prepared TFDS datasets are stored.")
def dedup(
    train,
    against,
    out,
    within,
    ignore_splits,
    threshold,
    mode,
    keep_duplicates,
    processes,
    replace,
    data_dir,
) -> None:
    """Finds training images that are near-duplicates of images to test with.

    The training images of --train are compared with its own evaluation and test images and with
    each --against; evaluation images are compared with test images. Copies are found that were
    re-encoded, resized, brightened, slightly cropped, mirrored or converted to grayscale. Nothing
    is changed in the sources.

    DIR/pairs.csv lists every pair, DIR/report.html shows them, the least certain ones first, and
    DIR/removed.txt is the list of images to leave out of a training with --exclude. The same
    command resumes a comparison that was stopped: what is finished is stored in DIR/work, about
    16 kB for each image (4 kB if it has 32x32 pixels), and as much again for the images that others
    are compared with. Every process holds the latter in memory, about 20 kB for each, and one of
    them twice as much for a while.

    \b
    Examples:
      mixer dedup --train=folder:pets --out=pets-dedup
      mixer dedup --train=tfds:imagenet2012 --against=pets=tfds:oxford_iiit_pet \\
        --against=own=folder:my-test-photos --out=dedup
      mixer dedup --train=folder:photos --ignore-splits --within --out=photos-dedup
      mixer train --source=folder:pets --exclude=pets-dedup/removed.txt
    """
    with resumable("the comparison"):
        _dedup(
            train=train,
            against=against,
            out=out,
            options=_options(threshold, within, mode, keep_duplicates),
            ignore_splits=ignore_splits,
            processes=processes,
            replace=replace,
            data_dir=data_dir,
        )


def _options(threshold, within, mode, keep_duplicates):
    from mixer_tf.deduplication import kept_images
    from mixer_tf.deduplication.options import DeduplicationOptions

    keep = kept_images.read(keep_duplicates) if keep_duplicates else frozenset()
    given = {} if threshold is None else {"threshold": threshold}
    return DeduplicationOptions(within_train=within, mode=mode, keep=keep, **given)


def _dedup(*, train, against, out, options, ignore_splits, processes, replace, data_dir) -> None:
    from mixer_tf import workers
    from mixer_tf.deduplication.standalone.comparison import (
        Comparison,
        parse_against,
        require_different,
    )
    from mixer_tf.deduplication.standalone.output import OutputFolder
    from mixer_tf.deduplication.standalone.results import write_results
    from mixer_tf.deduplication.standalone.search import search

    specs = parse_against(against)
    opening.parse(train)
    require_different({"--train": train, **specs})
    folder = OutputFolder(os.path.expanduser(out))
    opened = opening.open_source(train, data_dir)
    others = {name: unlabeled.open_images(spec, data_dir) for name, spec in specs.items()}
    _show_notes(opened, others)
    comparison = Comparison(opened, others, options, ignore_splits)
    with folder.locked():
        folder.claim(comparison.description(), replace)
        processes = processes or workers.count_processors()
        with console.progress_with_time_left() as progress:
            found = search(comparison, folder.work, processes, progress)
        _show(write_results(found, comparison, folder), comparison, folder, data_dir)


def _show_notes(train, others) -> None:
    for note in train.notes:
        click.echo(f"note: {visible(note)}")
    for name, source in others.items():
        for note in source.notes:
            if not note.startswith(opening.ONE_CLASS):
                click.echo(f"note: {visible(f'{name}: {note}')}")


def _show(outcome, comparison, folder, data_dir) -> None:
    from mixer_tf.deduplication.standalone import output, pair_table

    summary = outcome.result.summary()
    click.echo(_table(outcome, summary))
    _show_unreadable(summary)
    click.echo(f"\n{_conclusion(summary, comparison)}")
    for line in _details(outcome, summary, comparison):
        click.echo(f"note: {visible(line)}")
    files = {"pairs": pair_table.FILE_NAME, "report": output.PAGE}
    files |= {"removed": output.REMOVED} if comparison.options.mode == REMOVE else {}
    click.echo("")
    for title, name in files.items():
        click.echo(f"{title:<9}{visible(console.short_path(folder.path(name)))}")
    if outcome.num_pairs:
        click.echo(
            f"\nLook at {output.PAGE}, the least certain pairs first. If one is wrong, put the "
            "path of its training image into a file for --keep-duplicates=FILE, and run this again "
            "with --replace."
        )
    if comparison.options.mode == REMOVE and outcome.result.removed:
        arguments = (
            f"--source={comparison.train.spec}",
            f"--exclude={folder.path(output.REMOVED)}",
            *([f"--data-dir={data_dir}"] if data_dir else []),
        )
        click.echo(f"\nnext:\n  {visible(console.command_line('mixer', 'train', *arguments))}")


def _table(outcome, summary) -> str:
    """One row for each set: its images, those that leaked, and the training images that show them.

    The last row are the training images and their duplicates among themselves.
    """
    rows = []
    for name, leaked in summary["leaked"].items():
        images = outcome.result.counts.get(("compared", name), 0)
        share = f"{leaked / images:.2%}" if images else ""
        in_train = summary["duplicates_by_set"].get(name, 0)
        rows.append((name, f"{images:,}", f"{leaked:,}", share, f"{in_train:,}"))
    train = outcome.result.counts.get(("compared", TRAIN), 0)
    within = summary["duplicates_by_set"][TRAIN] if outcome.result.options.within_train else None
    rows.append((TRAIN, f"{train:,}", "", "", "" if within is None else f"{within:,}"))
    header = ("set", "images", "leaked", "share", "duplicates in training")
    return console.format_table(header, rows)


def _show_unreadable(summary) -> None:
    unreadable = sum(summary["unreadable"].values())
    if unreadable:
        click.echo(f"note: images that cannot be decoded, which were not compared: {unreadable:,}")


def _conclusion(summary, comparison) -> str:
    evaluation = summary["evaluation"]["duplicates"]
    parts = [f"{summary['duplicates']:,} training images"] if summary["duplicates"] else []
    parts += [f"{evaluation:,} {EVAL} images"] if evaluation else []
    if not parts:
        return "no duplicates were found"
    done = "are listed in removed.txt" if comparison.options.mode == REMOVE else "were found"
    return f"{' and '.join(parts)} that are duplicates {done}"


def _details(outcome, summary, comparison):
    for name in summary["uniform_sets"]:
        yield f"the images of {name} all look alike, so only nearly identical ones are duplicates"
    if summary["labels_differ"]:
        yield (
            f"images that resemble one of another class: {summary['labels_differ']:,}; one of both "
            "labels may be wrong: look at label_conflicts.jsonl"
        )
    if summary["duplicates"] and summary["duplicates"] == summary["compared"][TRAIN]:
        yield (
            f"all {summary['duplicates']:,} training images are duplicates: is one of the other "
            "sets a copy of --train?"
        )
    evaluation = summary["evaluation"]["duplicates"]
    if evaluation and evaluation == summary["compared"][EVAL]:
        yield (
            f"all {evaluation:,} {EVAL} images are duplicates of test images, so removed.txt "
            "leaves none: another evaluation split is needed"
        )
    listed = summary["kept_because_listed"] + summary["evaluation"]["kept_because_listed"]
    if listed:
        yield f"kept, because --keep-duplicates lists them: {listed:,}"
    unused, several = outcome.unused_keep, outcome.keep_several
    if unused:
        yield (
            f"lines of --keep-duplicates that name no duplicate: {len(unused):,}, such as "
            f"{unused[0]!r}"
        )
    if several:
        yield (
            "lines of --keep-duplicates that name several duplicates, which are all kept: "
            f"{len(several):,}, such as {several[0]!r}; report.html has a name for each of them"
        )
    if outcome.num_numbered:
        yield (
            f"duplicates whose id other images of {comparison.train.spec} have as well: "
            f"{outcome.num_numbered:,}; all files name them as SPLIT:NUMBER:ID, which is valid "
            "while the source does not change"
        )
    yield f"pairs in pairs.csv: {outcome.num_pairs:,}"
