# SPDX-License-Identifier: Apache-2.0
"""`mixer study permutation`: how much models depend on the order of their input."""

from __future__ import annotations

import dataclasses
import os

import click

from mixer_tf.cli import options, study_trials
from mixer_tf.cli.command import Command, resumable
from mixer_tf.console import format_table

_JSON, _CSV, _CHART = "permutation.json", "permutation.csv", "permutation.png"
_COLUMNS = ("model", "order", "top_1", "absorbed", "steps", "seconds", "problem")


@click.command(cls=Command)
@click.argument("trained", metavar="[MODEL]...", nargs=-1)
@options.source_options
@options.recipe_options(only="Without MODEL: ")
@study_trials.models_option
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
    help="Side of a patch in pixels, for a model without patches, such as a ResNet. Default: that "
    "of the other models.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Random seed for the orders.",
)
@click.option(
    "--evaluations",
    type=click.IntRange(1),
    metavar="N",
    help="Without MODEL: the number of points of the curves. Default: one after each epoch.",
)
@click.option(
    "--no-example",
    is_flag=True,
    help="Draw the chart without an image of the source, for images that must not be published.",
)
@study_trials.training_options("permutation-NAME")
def permutation(
    trained,
    source,
    data_dir,
    exclude,
    recipe_name,
    overrides,
    models,
    orders,
    patch_size,
    seed,
    evaluations,
    no_example,
    strategy,
    output,
) -> None:
    """Shows how much models depend on the order of their input.

    The patches of all images, the pixels within the patches, both, or all pixels are permuted in
    one fixed order. With MODEL, one or more trained models are evaluated on the test images in each
    order; a Mixer also with its weights permuted in the same way, which compensates for the order
    exactly. Without MODEL, each recipe or model of --models is trained once for each order. The
    paper's Mixer learns equally well with patches and pixels shuffled, its ResNet much worse.

    The command writes permutation.json and permutation.csv with all results and permutation.png
    with examples and a chart to OUTPUT. Each training is stored at once: the same command resumes a
    study that was stopped.

    \b
    Examples:
      mixer study permutation pets-model --source=folder:pets
      mixer study permutation --source=digits --set training.epochs=10
      mixer study permutation --source=folder:photos --recipe=photos \\
        --models=mixer_s16,vit_s16,bit_r50x1 --orders=given,both,global
    """
    from mixer_tf.studies import permutation_plot  # a missing package fails here, not at the end

    orders = _known_orders(orders)
    settings = {"seed": seed, "patch_size": patch_size}
    if trained:
        _refuse_training_options(recipe_name or overrides, models, evaluations, strategy)
        recipes = {}
    else:
        recipes = study_trials.choose_models(models, recipe_name, source, overrides)
        study_trials.require_weights(recipes)
    opened = study_trials.open_data(source, data_dir, exclude)
    if "test" not in opened.splits:
        raise click.ClickException(f"the source must have test images; {opened.spec} has none.")
    folder = study_trials.output_folder(output, f"permutation-{opened.name}")
    with folder.lock():
        if trained:
            rows, examples = _evaluate(folder, trained, opened, orders, settings)
        else:
            with resumable("the study"):
                rows, examples = _train(
                    folder, opened, recipes, orders, settings, evaluations, strategy
                )
        _show(rows)
        scores = _scores_by_model(rows)
        if scores:
            shown = {} if no_example else examples
            permutation_plot.draw(scores, shown, folder.path(_CHART))
    study_trials.show_results(folder, (_JSON, _CSV), rows)
    if scores:
        click.echo(f"chart    {folder.path(_CHART)}")


def _refuse_training_options(recipe, models, evaluations, strategy: str) -> None:
    if recipe:
        raise click.UsageError("--recipe and --set are only for training, without MODEL.")
    if models or evaluations:
        raise click.UsageError("--models and --evaluations are only for training, without MODEL.")
    if strategy != "auto":
        raise click.UsageError("--strategy is only for training, without MODEL.")


def _known_orders(text: str) -> list[str]:
    from mixer_tf.studies.input_order import ORDERS

    names = study_trials.names(text)
    unknown = [name for name in names if name not in ORDERS]
    if unknown:
        raise click.UsageError(f"--orders must be some of {', '.join(ORDERS)}; got {unknown[0]!r}.")
    return list(dict.fromkeys(names))


def _evaluate(folder, paths, source, orders, settings: dict):
    from mixer_tf.evaluation.batches import image_batches
    from mixer_tf.export.loading import open_export
    from mixer_tf.studies import permutation as library

    _require_new(folder)
    if len(set(paths)) < len(paths):
        raise click.UsageError("each MODEL must be given once.")
    exports = {path: open_export(os.path.expanduser(path)) for path in paths}
    configs = {path: export.model.config for path, export in exports.items()}
    sizes = library.patch_sizes(configs, settings["patch_size"])
    first, _ = next(image_batches(exports[paths[0]], source, "test", 1), (None, None))
    if first is None:
        raise click.ClickException(
            f"at least one test image must be usable; {source.spec} has none."
        )
    rows = []
    for path, export in exports.items():
        own = {"seed": settings["seed"], "patch_size": sizes[path]}
        batches = image_batches(export, source, "test")
        for score in library.evaluate(export.model, batches, orders, **own):
            rows.append({"model": path, **dataclasses.asdict(score)})
    summary = {"source": source.spec, **settings, "models": list(paths)}
    _write(folder, summary, rows)
    return rows, library.examples(
        first[0], configs[paths[0]], seed=settings["seed"], patch_size=sizes[paths[0]]
    )


def _require_new(folder) -> None:
    """Evaluating takes minutes, and is not resumed: nothing is overwritten."""
    if os.path.exists(folder.path(_JSON)):
        raise click.ClickException(f"OUTPUT must be new; {folder.root} has results already.")


def _train(folder, source, recipes, orders, settings: dict, evaluations, strategy: str):
    from mixer_tf.studies import permutation as library
    from mixer_tf.studies.measured_training import require_splits
    from mixer_tf.studies.permutation_trials import make_trials
    from mixer_tf.studies.study_folder import DATA
    from mixer_tf.training.input.split import open_splits
    from mixer_tf.training.length import training_length

    configs = {name: recipe.model.config(1) for name, recipe in recipes.items()}
    sizes = library.patch_sizes(configs, settings["patch_size"])
    trials = make_trials(recipes, orders, sizes, settings["seed"], evaluations)
    folder.claim("permutation", {DATA: source})
    info = study_trials.prepare(folder, source)
    require_splits(info, ("test",))
    splits = open_splits(folder.path(DATA), info)

    def train(trial, report) -> dict:
        score = library.train(
            trial.recipe,
            splits,
            trial.settings["order"],
            checkpoint_dir=folder.checkpoints(trial),
            strategy=strategy,
            report=report,
            **trial.measured,
        )
        return {"model": trial.model, **dataclasses.asdict(score)}

    def work(trial) -> float:
        steps = training_length(trial.recipe.training, splits["train"].num_examples).steps
        return steps * trial.recipe.training.batch_size

    summary = {"source": source.spec, **settings}
    summary["recipes"] = {name: recipe.to_dict() for name, recipe in recipes.items()}
    rows = study_trials.run_trials(
        trials,
        folder,
        train,
        work=work,
        describe=lambda trial: f"{trial.model} {trial.settings['order']}",
        reached=lambda row: f"top-1 {row['top_1']:.4f}",
        write=lambda rows: _write(folder, summary, rows),
    )
    name, recipe = next(iter(recipes.items()))
    image, config = library.first_image(recipe, splits["test"])
    return rows, library.examples(image, config, settings["seed"], sizes[name])


def _scores_by_model(rows) -> dict[str, list]:
    from mixer_tf.studies.permutation import Score

    fields = [field.name for field in dataclasses.fields(Score)]
    found: dict[str, list] = {}
    for row in rows:
        if "problem" not in row:
            score = Score(**{name: row[name] for name in fields})
            found.setdefault(row["model"], []).append(score)
    return found


def _show(rows) -> None:
    from mixer_tf.studies.input_order import ORDERS

    table = [
        [
            *(row["model"], row["order"], ORDERS[row["order"]], f"{row['top_1']:.4f}"),
            "" if row["absorbed"] is None else f"{row['absorbed']:.4f}",
        ]
        for row in rows
        if "problem" not in row
    ]
    header = ["model", "order", "what is shuffled", "top-1", "with weights in that order"]
    if not any(row[-1] for row in table):
        header, table = header[:-1], [row[:-1] for row in table]
    click.echo("\n" + format_table(header, table, left=3) + "\n")


def _write(folder, summary: dict, rows) -> None:
    from mixer_tf.studies import results

    results.write_json(folder.path(_JSON), {"study": "permutation", **summary}, rows, "scores")
    last = [{**row, "steps": (row.get("steps") or [None])[-1]} for row in rows]
    results.write_csv(folder.path(_CSV), _COLUMNS, last)
