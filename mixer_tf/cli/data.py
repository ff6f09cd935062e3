# SPDX-License-Identifier: Apache-2.0
"""`mixer data`: the datasets of the paper, prepared TFDS datasets, and image statistics."""

from __future__ import annotations

import dataclasses
import json

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.cli.data_stats import stats
from mixer_tf.console import command_line, format_table, progress_counter
from mixer_tf.messages import visible

_DEFAULT_VERSION = "1.0.0"


@click.group()
def data() -> None:
    """Lists, measures and prepares datasets.

    \b
    Examples:
      mixer data list
      mixer data stats folder:pets --out=pets-statistics
      mixer data build folder:pets --name=my_pets --data-dir=tfds
    """


data.add_command(stats)


@data.command("list", cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--data-dir", metavar="PATH", help="Where prepared TFDS datasets are stored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(names: tuple[str, ...], data_dir: str | None, as_json: bool) -> None:
    """Shows the datasets of the paper, and which of them are prepared on this machine.

    Without NAME: all of them, each with splits, sizes, license and the way to get it. With NAME:
    everything about these, such as what to download by hand. All figures come from the installed
    TensorFlow Datasets, which states the number of images of a dataset only once it is prepared;
    the splits are those of the paper. Nothing is downloaded.

    \b
    Examples:
      mixer data list
      mixer data list cifar10 vtab-resisc45
      mixer data list --json --data-dir=/data/tfds
    """
    from mixer_tf.datasets import paper_datasets, tfds_metadata

    chosen = paper_datasets.find(names)
    known = {each.tfds: tfds_metadata.read(each.tfds, data_dir) for each in chosen if each.tfds}
    pairs = [(each, known.get(each.tfds)) for each in chosen]
    if as_json:
        click.echo(json.dumps([_to_json(*pair) for pair in pairs], indent=2))
    elif names:
        click.echo("\n\n".join("\n".join(_describe(*pair, data_dir)) for pair in pairs))
    else:
        click.echo(_table(pairs))
        click.echo(f"\n{_explain_ways(pairs, data_dir)}")


# How to get a dataset.
_PREPARED, _DOWNLOAD, _GENERATED, _BY_HAND = "prepared", "download", "generated", "by hand"


def _table(pairs) -> str:
    header = (
        *("name", "source", "used for", "how to get it", "license", "splits of the paper"),
        *("classes", "images", "download"),
    )
    return format_table(header, [_row(*pair) for pair in pairs], left=6)


def _row(each, known) -> tuple[str, ...]:
    splits = ", ".join(each.splits)
    if known is None:
        return each.name, "not in TFDS", each.use, _BY_HAND, "", splits, "", "", ""
    return (
        *(each.name, _source(each), each.use, _way(known), known.license or "not stated", splits),
        f"{classes:,}" if (classes := _classes(each, known)) else "",
        f"{sum(known.examples.values()):,}" if known.prepared else "",
        _size(known.download_bytes) if known.download_bytes else "",
    )


def _way(known) -> str:
    if known.prepared:
        return _PREPARED
    if known.is_manual:
        return _BY_HAND
    return _DOWNLOAD if known.urls else _GENERATED


def _explain_ways(pairs, data_dir: str | None) -> str:
    """A line for each way to get a dataset that the table has."""
    where = [f"--data-dir={data_dir}"] if data_dir else []
    build = ["mixer", "data", "build", "SOURCE"]
    lines = {
        _PREPARED: f"use {' '.join(['--source=SOURCE', *where])}",
        _DOWNLOAD: command_line(*build, "--download", *where),
        _GENERATED: command_line(*build, *where),
        _BY_HAND: "as `mixer data list NAME` says; then "
        + command_line(*build, "--manual-dir=DIR", *where),
    }
    ways = {_BY_HAND if known is None else _way(known) for _, known in pairs}
    found = [f"{way:<9} {text}" for way, text in lines.items() if way in ways]
    return "\n".join([*found, "TFDS states the number of images of a prepared dataset alone."])


def _describe(each, known, data_dir: str | None) -> list[str]:
    lines = [("name", each.name), ("used for", each.use)]
    if each.splits:
        lines.append(("paper's splits", ", ".join(each.splits)))
    if known is not None:
        lines += [
            ("source", f"{_source(each)}, version {known.version}"),
            ("classes", f"{_classes(each, known) or 'unknown'}"),
            ("prepared", known.prepared or "no"),
            ("images", _images(known)),
            ("download", _download(known)),
            ("license", known.license or f"not stated by TFDS; see {known.homepage}"),
            ("homepage", known.homepage),
            ("how to get it", _how_to_get(each, known, data_dir)),
        ]
    lines += [("note", each.note)] if each.note else []
    return [f"{title:<15}{visible(text)}" for title, text in lines]


def _classes(each, known) -> int | None:
    """The number of classes of a task, which may compute its label."""
    return known.classes if each.classes is None else each.classes


def _images(known) -> str:
    if not known.prepared:
        return "known once it is prepared"
    return ", ".join(f"{count:,} {split}" for split, count in known.examples.items())


def _download(known) -> str:
    if not known.urls:
        return "none by TFDS"
    by_hand = " (by hand)" if known.is_manual else ""
    return f"at most {_size(known.download_bytes)}, for all configurations{by_hand}"


def _how_to_get(each, known, data_dir: str | None) -> str:
    where = [f"--data-dir={data_dir}"] if data_dir else []
    if known.prepared:
        return f"use {' '.join([f'--source={_source(each)}', *where])}"
    download = ["--download"] if known.urls else []
    command = ["data", "build", _source(each), *download, *where]
    if not known.is_manual:
        return command_line("mixer", *command)
    return f"{known.manual} Then {command_line('mixer', *command, '--manual-dir=DIR')}"


def _to_json(each, known) -> dict:
    found = {**dataclasses.asdict(each), "splits": list(each.splits), "in_tfds": known is not None}
    if known is not None:
        found["source"] = _source(each)
        found |= {**dataclasses.asdict(known), "license": known.license or None}
        found["classes"] = _classes(each, known)
    return found


def _source(each) -> str:
    return f"tfds:{each.tfds.replace('/', ':')}"


def _size(number: int) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


@data.command(cls=Command)
@click.argument("source", callback=options.with_details)
@options.detail_options
@click.option(
    "--name",
    help="Name of the dataset to write. Without it, SOURCE must be tfds:NAME[:CONFIG], which TFDS "
    "prepares with its own builder.",
)
@click.option(
    "--data-dir",
    metavar="PATH",
    help="Where prepared TFDS datasets are stored; a SOURCE of TFDS is read from there, too. "
    "Default: that of TFDS, ~/tensorflow_datasets.",
)
@click.option("--out", metavar="PATH", help="Folder to write to. Default: that of --data-dir.")
@click.option(
    "--version", help=f"With --name: version of the dataset. Default: {_DEFAULT_VERSION}."
)
@options.quarantine_option
@click.option("--download", is_flag=True, help="Let TFDS download files, with progress.")
@click.option("--manual-dir", metavar="PATH", help="Folder of files that you have downloaded.")
@click.option(
    "--beam-pipeline-options",
    metavar="OPTIONS",
    default="",
    help="Options for Apache Beam, for the builders of TFDS that use it, such as "
    "'--runner=DirectRunner --direct_num_workers=2'.",
)
def build(
    source,
    name,
    data_dir,
    out,
    version,
    max_quarantined,
    download,
    manual_dir,
    beam_pipeline_options,
) -> None:
    """Writes a prepared TFDS dataset, which `tfds.load` and the sources tfds:NAME read.

    With --name: from any source. The bytes of each image are stored unchanged, unless only a PNG
    of its pixels can be decoded by TensorFlow; unusable images are listed in quarantine.jsonl. The
    features are image, label, with the class names, and image_source, the path of the image. Its
    splits are train, validation and test.

    Without --name: one of TFDS's own datasets. Nothing is downloaded without --download.

    \b
    Examples:
      mixer data build folder:pets --name=my_pets --data-dir=tfds --max-quarantined=1%
      mixer data build csv:list.csv --name=my_list --out=tfds
      mixer data build tfds:cifar10 --download
      mixer data build tfds:resisc45 --manual-dir=downloads
    """
    if name is None:
        given = {"--version": version, "--max-quarantined": max_quarantined}
        if unused := _first_given(given):
            raise click.UsageError(f"{unused} must be given with --name only; got no --name.")
        _prepare(source, data_dir, out, download, manual_dir, beam_pipeline_options)
        return
    given = {"--download": download, "--manual-dir": manual_dir}
    given["--beam-pipeline-options"] = beam_pipeline_options
    if unused := _first_given(given):
        raise click.UsageError(
            f"{unused} must be given for a dataset of TFDS without --name; got --name={name}."
        )
    from mixer_tf.datasets import tfds_building
    from mixer_tf.datasets.sources import opening

    opened = opening.open_source(source, data_dir)
    for note in opened.notes:
        click.echo(f"note: {visible(note)}")
    with progress_counter("reading images") as progress:
        built = tfds_building.build(
            *(opened, name, out or data_dir),
            version=version or _DEFAULT_VERSION,
            limit=max_quarantined,
            progress=progress,
        )
    _show(built, name, out or data_dir)


def _first_given(values: dict) -> str | None:
    return next((option for option, value in values.items() if value), None)


def _prepare(source, data_dir, out, download, manual_dir, beam_options) -> None:
    from mixer_tf.datasets import tfds_building
    from mixer_tf.datasets.sources import opening

    kind, location = opening.parse(source)
    if kind != "tfds" or source.partition(":")[0] != kind:
        raise click.UsageError(
            f"--name must be given for a source other than tfds:NAME; got {source}. "
            "Choose a name such as --name=my_images."
        )
    name = location.replace(":", "/")
    built = tfds_building.prepare(
        *(name, out or data_dir),
        download=download,
        manual_dir=manual_dir,
        beam_options=beam_options,
    )
    _show(built, location, out or data_dir)


def _show(built, name: str, data_dir: str | None) -> None:
    counts = ", ".join(f"{count:,} {split}" for split, count in built.examples.items())
    click.echo(f"images   {counts}")
    if built.num_unusable:
        click.echo(f"unusable {built.num_unusable:,}, listed in {built.folder}/quarantine.jsonl")
    click.echo(f"dataset  {built.folder}")
    where = [f"--data-dir={data_dir}"] if data_dir else []
    command = command_line("mixer", "train", f"--source=tfds:{name}", *where)
    click.echo(f"\nnext:\n  {command}")
