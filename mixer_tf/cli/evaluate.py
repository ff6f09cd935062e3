# SPDX-License-Identifier: Apache-2.0
"""`mixer evaluate`: how good exported models are on labeled images, alone or side by side."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

import click

from mixer_tf import console
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.messages import visible
from mixer_tf.serving import contract


def _parse_matches(context, parameter, values: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, equals, target = value.partition("=")
        if not (name and equals and target):
            raise click.UsageError(
                f"--match must be CLASS=MODEL_CLASS; got {visible(value)}.", context
            )
        pairs[name] = target
    return pairs


@click.command(cls=Command)
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@options.source_options
@click.option(
    "--split",
    type=click.Choice(["test", "eval", "train", "all"]),
    default="test",
    show_default=True,
    help="Which images; if the source has no splits, test is what `mixer train` holds out, about a "
    "tenth.",
)
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help="Also count the images whose class is among the N most probable ones, and list so many "
    "classes for each image in --json and --csv. At most the number of classes. Default: "
    f"{contract.TOP_K}.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print all metrics of all classes, and the prediction for each image, as one JSON object.",
)
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE.csv",
    callback=options.expand_home,
    help="Write the predictions, one row for each image and model. A name that a spreadsheet would "
    "run as a formula starts with an apostrophe.",
)
@click.option(
    "--html",
    "html_file",
    metavar="FILE.html",
    callback=options.expand_home,
    help="Write one page with everything: plots of the calibration, the confusion matrix, and the "
    "mistakes with their images. It needs no other file and no network.",
)
@click.option(
    "--real",
    metavar="FILE",
    help="real.json of github.com/google-research/reassessed-imagenet: also show ReaL accuracy. "
    "For images named ILSVRC2012_val_00000001.JPEG and so on, matched by these names, and models "
    "whose classes are WordNet ids; images without a ReaL label are left out of it. --source may "
    "then also be images:FOLDER, the published validation images, whose classes follow from the "
    "names.",
)
@click.option(
    "--class-names",
    metavar="FILE",
    help="Names for the classes of the model, one per line in label order; or lines with WordNet "
    "id and names, such as synset_words.txt of ImageNet, for a model whose classes are such ids.",
)
@click.option(
    "--match-classes",
    is_flag=True,
    help="Match the classes of source and model by synonyms in their names, such as tabby and "
    "'tabby, tabby cat', and let the model choose among the matched classes only. A class that "
    "matches several is refused.",
)
@click.option(
    "--match",
    "matches",
    multiple=True,
    callback=_parse_matches,
    metavar="CLASS=MODEL_CLASS",
    help="The class of the model, by its full name, for a class of the source; implies "
    "--match-classes. May be repeated.",
)
def evaluate(
    models,
    source,
    data_dir,
    split,
    batch_size,
    top,
    as_json,
    csv_file,
    html_file,
    real,
    class_names,
    match_classes,
    matches,
) -> None:
    """Evaluates exported models on the images of a source.

    MODEL is a SavedModel, a folder of its versions, the root of a pipeline, or the output of `mixer
    train`. The model gets the images as from a client: encoded bytes through a served signature.

    Shown are top-1 and top-5 accuracy, the calibration (ECE, the expected calibration error: the
    mean difference between probability and accuracy, in 15 equally wide bins of the probability of
    the prediction), recall and precision of each class, and the most confident mistakes. --json and
    --html have everything. In the JSON, "predictions" lists all images, each on a line of its own,
    with path, class, predicted class and its probability.

    Several models are compared on the same images: which of them is right where the other one is
    wrong, and whether that is more than chance (exact McNemar test). All of them are in memory at
    the same time.

    \b
    Examples:
      mixer evaluate pets-model --source=folder:pets
      mixer evaluate runs/digits --source=digits --html=digits.html
      mixer evaluate pets-model --source=folder:new-photos --split=all --csv=predictions.csv
      mixer evaluate pets-model --source=folder:pets --json | grep '"correct": false'
      mixer evaluate runs/old runs/new --source=folder:pets
      mixer evaluate imagenet-model --source=tfds:imagenet2012 --split=eval --real=real.json
      mixer evaluate model-21k --source=folder:pets --class-names=names.txt --match-classes
    """
    from mixer_tf.evaluation import side_by_side

    _check_outputs(csv_file, html_file)
    labels = _read_real(real)
    opened = _open_source(source, data_dir, labels is not None)
    splits = opened.splits if split == "all" else [split]
    loaded = _load_models(models, opened, class_names, match_classes or matches, matches)
    what = side_by_side.Options(
        top=_check_top(top, loaded),
        batch_size=batch_size,
        keep_all=as_json,
        with_previews=html_file is not None,
        real=labels,
    )
    with (
        _writing_table(csv_file, loaded, what) as table,
        _progress(side_by_side.count_images(opened, splits)) as progress,
        side_by_side.evaluating(
            loaded, opened, splits, what, table=table, progress=progress
        ) as outcome,
    ):
        _show(outcome, as_json)
        _write_page(html_file, outcome, opened.spec)
    for title, path in (("predictions", csv_file), ("page", html_file)):
        if path:
            click.echo(f"{title:<8} {visible(path)}", err=as_json)


def _check_outputs(csv_file: str | None, html_file: str | None) -> None:
    from mixer_tf.evaluation.predictions_table import require_writable

    if csv_file:
        require_writable("--csv", csv_file, ".csv")
    if html_file:
        require_writable("--html", html_file, ".html")


def _read_real(path: str | None):
    from mixer_tf.evaluation import real_labels

    return real_labels.read(os.path.expanduser(path)) if path else None


def _open_source(spec: str, data_dir: str | None, with_real: bool):
    """Opens the images; for ReaL labels by the names of their files."""
    from mixer_tf.datasets.sources import opening, tfds
    from mixer_tf.evaluation import validation_images

    if not with_real:
        return opening.open_source(spec, data_dir)
    if validation_images.is_folder_of_them(spec):
        return validation_images.open_folder(spec)
    return tfds.with_file_names(opening.open_source(spec, data_dir))


def _load_models(paths: Sequence[str], source, class_names, match_classes, matches) -> list:
    """Loads the models, with the names of classes that the options ask for."""
    from mixer_tf.evaluation import side_by_side
    from mixer_tf.serving import locations
    from mixer_tf.serving.predictor import Predictor

    folders = [locations.resolve_saved_model(path) for path in paths]
    if len(set(folders)) < len(folders):
        raise click.UsageError("each MODEL must be given once.")
    if len(folders) > 1:
        import scipy.stats  # noqa: F401 - of the test at the end; missing, it must be told now
    loaded = []
    for path, folder in zip(paths, folders, strict=True):
        predictor, remarks = _with_names(
            Predictor(folder), source, class_names, match_classes, matches
        )
        model = side_by_side.Model(path, predictor, remarks)
        note = side_by_side.require_known_classes(source, model)
        if note:
            click.echo(f"note: {note}", err=True)
        loaded.append(model)
    return loaded


def _with_names(predictor, source, class_names, match_classes, matches):
    """Returns the model under other names, and remarks about them."""
    from mixer_tf.evaluation import class_name_files, label_spaces

    if class_names:
        names = class_name_files.read(os.path.expanduser(class_names), predictor.class_names)
        if not match_classes:
            label_spaces.require_distinct(source.class_names, names)
        predictor = label_spaces.RenamedPredictor(predictor, label_spaces.distinct(names))
    if not match_classes:
        return predictor, ()
    matched = label_spaces.match(predictor, source.class_names, matches)
    return matched, (matched.remark(),)


def _check_top(top: int | None, models: Sequence) -> int:
    number = min(len(model.predictor.class_names) for model in models)
    if top is None:
        return min(contract.TOP_K, number)
    if top > number:
        raise click.UsageError(
            f"--top must be at most the number of classes of the model, {number:,}; got {top:,}."
        )
    return top


@contextlib.contextmanager
def _writing_table(path: str | None, models: Sequence, what) -> Iterator:
    """Yields the table of --csv; None if there is none."""
    if path is None:
        yield None
        return
    from mixer_tf.evaluation import predictions_table

    titles = [model.title for model in models]
    with predictions_table.writing(path, titles, what.top, what.real is not None) as table:
        yield table


@contextlib.contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """Yields what shows the number of images; with the time left where their number is known."""
    if total is None:
        with console.progress_counter("images") as show:
            yield show
    else:
        with console.progress_with_time_left() as show_left:
            yield lambda done: show_left("images", done, total)


def _show(outcome, as_json: bool) -> None:
    from mixer_tf.evaluation import comparison_text

    if len(outcome.reports) == 1:
        (report,) = outcome.reports
        lines = report.to_json() if as_json else [report.to_text()]
    elif as_json:
        lines = comparison_text.to_json(outcome.reports, outcome.comparisons)
    else:
        lines = [comparison_text.to_text(outcome.reports, outcome.titles, outcome.comparisons)]
    for line in lines:
        click.echo(line)


def _write_page(path: str | None, outcome, spec: str) -> None:
    if path is None:
        return
    from mixer_tf.evaluation import page as evaluation_page

    figures = outcome.figures()
    evaluation_page.write(path, f"Evaluation on {spec}", figures, outcome.comparisons)
