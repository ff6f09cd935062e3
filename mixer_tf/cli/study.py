# SPDX-License-Identifier: Apache-2.0
"""`mixer study`: the paper's studies, on a model and data of your own."""

from __future__ import annotations

import dataclasses
import json
import os

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.cli.pareto_study import pareto
from mixer_tf.console import format_table, progress_counter


@click.group()
def study() -> None:
    """Repeats a study of the paper on a model and data of your own.

    \b
    Examples:
      mixer study permutation pets-model --source=folder:pets
      mixer study pareto --run pets-model
    """


study.add_command(pareto)


@study.command(cls=Command)
@click.argument("model", required=False)
@options.source_options
@options.recipe_options(only="Without MODEL: ")
@click.option(
    "--orders",
    metavar="NAMES",
    default="given,patches,pixels,both,global",
    show_default=True,
    help="Orders to compare.",
)
@click.option(
    "--patch-size",
    type=click.IntRange(min=1),
    help="Side of a patch in pixels, for a model without patches, such as a ResNet.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed for the orders.")
@options.output_option("A new folder. Default: permutation-NAME.")
def permutation(
    model, source, data_dir, recipe_name, overrides, orders, patch_size, seed, output
) -> None:
    """Shows how much a model depends on the order of its input.

    The patches of all images, the pixels within the patches, both, or all pixels are permuted in
    one fixed order. With MODEL, that model is evaluated on the test images in each order; a Mixer
    also with its weights permuted in the same way, which compensates for the order exactly. Without
    MODEL, the recipe is trained once for each order. The paper's Mixer learns equally well with
    patches and pixels shuffled, its ResNet much worse.

    The command writes permutation.json with all results and permutation.png with examples and a
    chart to OUTPUT.

    \b
    Examples:
      mixer study permutation pets-model --source=folder:pets
      mixer study permutation --source=digits --set training.epochs=10
    """
    from mixer_tf.datasets.sources import opening
    from mixer_tf.studies import permutation_plot  # a missing package fails here, not at the end

    if model and (recipe_name or overrides):
        raise click.UsageError("--recipe and --set are only for training, without MODEL.")
    orders = _known_orders(orders)
    recipe = None if model else options.choose_recipe(recipe_name, source, overrides)
    opened = opening.open_source(source, data_dir)
    if "test" not in opened.splits:
        raise click.ClickException(f"the source must have test images; {opened.spec} has none.")
    folder = os.path.expanduser(output or f"permutation-{opened.name}")
    if os.path.exists(folder):
        raise click.ClickException(f"OUTPUT must be new; {folder} exists already.")
    settings = {"seed": seed, "patch_size": patch_size}
    results = {"source": opened.spec, **settings}
    if model:
        results["model"] = model
        scores, examples = _evaluate(os.path.expanduser(model), opened, orders, settings)
    else:
        results["recipe"] = recipe.to_dict()
        scores, examples = _train(opened, recipe, orders, settings)
    _show(scores)
    chart = os.path.join(folder, "permutation.png")
    _write({**results, "scores": scores}, os.path.join(folder, "permutation.json"))
    permutation_plot.draw(scores, examples, chart)
    click.echo(f"chart  {chart}")


def _known_orders(text: str) -> list[str]:
    from mixer_tf.studies.input_order import ORDERS

    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in ORDERS]
    if unknown:
        raise click.UsageError(f"--orders must be some of {', '.join(ORDERS)}; got {unknown[0]!r}.")
    return names


def _evaluate(path: str, source, orders, settings: dict):
    from mixer_tf.evaluation.batches import image_batches
    from mixer_tf.export.loading import open_export
    from mixer_tf.studies import permutation as library

    export = open_export(path)
    first, _ = next(image_batches(export, source, "test", 1), (None, None))
    if first is None:
        raise click.ClickException(
            f"at least one test image must be usable; {source.spec} has none."
        )
    batches = image_batches(export, source, "test")
    scores = library.evaluate(export.model, batches, orders, **settings)
    return scores, library.examples(first[0], export.model.config, **settings)


def _train(source, recipe, orders, settings: dict):
    import tempfile

    from mixer_tf.datasets import examples
    from mixer_tf.studies import permutation as library
    from mixer_tf.training.input.split import open_splits

    with tempfile.TemporaryDirectory() as data:
        with progress_counter("reading images") as progress:
            info = examples.write_source(source, data, progress)
        splits = open_splits(data, info)
        if "test" not in splits:
            raise click.ClickException(
                f"at least one test image must be usable; {source.spec} has none."
            )
        scores = []
        for order in orders:
            with progress_counter(f"{order}: epochs") as progress:
                score = library.train(recipe, splits, order, progress=progress, **settings)
                scores.append(score)
        image, config = library.first_image(recipe, splits["test"])
        return scores, library.examples(image, config, **settings)


def _show(scores) -> None:
    from mixer_tf.studies.input_order import ORDERS

    rows = [
        [
            *(score.order, ORDERS[score.order], f"{score.top_1:.4f}"),
            "" if score.absorbed is None else f"{score.absorbed:.4f}",
        ]
        for score in scores
    ]
    header = ["order", "what is shuffled", "top-1", "with weights in that order"]
    if all(score.absorbed is None for score in scores):
        header, rows = header[:-1], [row[:-1] for row in rows]
    click.echo(format_table(header, rows, left=2))


def _write(results: dict, path: str) -> None:
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=2, default=dataclasses.asdict)
