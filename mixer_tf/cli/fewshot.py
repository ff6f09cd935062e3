# SPDX-License-Identifier: Apache-2.0
"""`mixer fewshot`: how well a few images of each class suffice for a linear probe of a model."""

from __future__ import annotations

import time

import click

from mixer_tf import console
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.messages import visible
from mixer_tf.recipes.schema import CROPS


@click.command(cls=Command)
@click.argument("model")
@options.source_options
@click.option(
    "--shots",
    metavar="NUMBERS",
    callback=options.numbers_of(minimum=1),
    help="Training images of each class, such as 5,10. Default: those of 1,5,10,25 that at least "
    "one class has.",
)
@click.option(
    "--seeds",
    metavar="NUMBERS",
    default="0,1,2",
    show_default=True,
    callback=options.numbers_of(minimum=0),
    help="Seeds of the draws; the table has the mean and the standard deviation (n - 1).",
)
@click.option(
    "--shots-from",
    type=click.Choice(["train", "train+eval"]),
    default="train",
    show_default=True,
    help="Splits that shots are drawn from. A tfds: dataset without a validation split gets one "
    "from its training images; train+eval then is the whole training split, as the authors use it.",
)
@click.option(
    "--crop",
    type=click.Choice(CROPS),
    default="resize_crop",
    show_default=True,
    help="How an image becomes the input; the default is the protocol's (256 and 224 pixels, or "
    "in this ratio).",
)
@click.option(
    "--cache",
    metavar="DIR",
    callback=options.expand_home,
    help="Store the features there, and use them again while model and data are unchanged.",
)
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def fewshot(
    model, source, data_dir, shots, seeds, shots_from, crop, cache, batch_size, as_json
) -> None:
    """Measures the features of a model by linear probes on a few images of each class.

    MODEL is an export of mixer_tf: a SavedModel, a folder of its versions, the root of a pipeline
    or the output of `mixer train`; or the name of a published model such as mixer_b16_imagenet21k.

    For each seed, the shots of each class are drawn at random, their features (pre_logits) are
    standardized, and a ridge regression to the classes is solved in closed form; nothing is
    trained. The accuracy is that on the test images. The protocol is that of the paper's authors
    (big_vision), which they follow during pre-training. The classes of the model do not matter.

    All images of the splits pass through the model once. For a part of a large TFDS dataset, state
    it: --splits='train=train[:2000],test=test[:1000]'.

    \b
    Examples:
      mixer fewshot pets-model --source=folder:pets
      mixer fewshot runs/digits --source=digits --shots=1,5 --json
      mixer fewshot mixer_b16_imagenet21k --source=tfds:cifar100 --shots-from=train+eval \\
        --cache=features
    """
    from mixer_tf.datasets.sources import opening
    from mixer_tf.evaluation.fewshot import SHOTS
    from mixer_tf.evaluation.fewshot_source import probe_source
    from mixer_tf.evaluation.image_features import open_extractor

    opened = opening.open_source(source, data_dir)
    extractor = open_extractor(model, crop)
    start = time.monotonic()
    with console.progress_with_time_left() as progress:
        report = probe_source(
            extractor,
            opened,
            [name for name in shots_from.split("+") if name in opened.splits] or ["train"],
            ["test"],
            shots=shots or SHOTS,
            leave_out=shots is None,
            seeds=seeds,
            cache=cache,
            batch_size=batch_size,
            progress=progress,
        )
    _show(report, model, time.monotonic() - start, as_json)


def _show(report, model: str, seconds: float, as_json: bool) -> None:
    import dataclasses

    if as_json:
        facts = {"model": model, **report.facts, "seconds": seconds}
        click.echo(dataclasses.replace(report, facts=facts).to_json())
        return
    facts = report.facts
    train, test = (facts[name] for name in ("train", "test"))
    rows = {
        "model": model,
        "source": f"{facts['source']}: {facts['classes']} classes",
        "shots": f"drawn from {train['images']:,} images of {' and '.join(train['splits'])}",
        "top-1": f"on {test['images']:,} images of {' and '.join(test['splits'])}",
        "features": f"{facts['features']['layer']}, {facts['features']['dimension']:,} numbers",
        "images": facts["preprocessing"],
        "time": f"{seconds:.1f} s",
    }
    for title, text in [*rows.items(), *(("note", note) for note in report.notes)]:
        click.echo(f"{title:<9} {visible(text)}")
    click.echo(f"\n{report.table()}")
