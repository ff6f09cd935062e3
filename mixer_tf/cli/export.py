# SPDX-License-Identifier: Apache-2.0
"""`mixer export`: a trained model as a file for TensorFlow Lite, ONNX Runtime or plain Keras."""

from __future__ import annotations

import os

import click

from mixer_tf import storage
from mixer_tf.cli.command import Command
from mixer_tf.console import format_table, progress_counter
from mixer_tf.export.formats import FLOAT32, INT8, PRECISIONS
from mixer_tf.features import TEST, TRAIN

_CALIBRATION_IMAGES = 200


@click.command(cls=Command)
@click.argument("model")
@click.argument("target")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=FLOAT32,
    show_default=True,
    help="Of the weights; float16 and int8 for .tflite.",
)
@click.option(
    "--source",
    help="Images of this source calibrate int8 (its training split), and compare the new file with "
    "MODEL (its test split).",
)
@click.option("--data-dir", metavar="PATH", help="Where prepared TFDS datasets are stored.")
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Compare at most as many images.",
)
def export(model, target, precision, source, data_dir, images) -> None:
    """Converts a trained model to TARGET: .tflite, .onnx or .keras.

    MODEL is the output of `mixer train`, the root of a pipeline, or a SavedModel that mixer_tf has
    exported. The new file maps uint8 pixels [N, H, W, 3], in .tflite those of one image, [1, H, W,
    3], to the probabilities of all classes; decoding an image and cropping it to the size of the
    model stay with the program that uses it.
    Names of the classes: in .tflite in labels.txt (the file is also a ZIP archive), in .onnx in the
    metadata.

    .onnx needs the extra "onnx"; a .keras file opens in Keras 2 without mixer_tf, and must be a
    Mixer.

    With --source, a table compares accuracy, size and time with those of MODEL.

    \b
    Examples:
      mixer export pets-model pets.onnx --source=folder:pets
      mixer export pets-model pets.tflite --precision=float16
      mixer export pets-model pets.tflite --precision=int8 --source=folder:pets
    """
    from mixer_tf.datasets.sources import opening
    from mixer_tf.export import loading, portable

    if storage.is_remote(target):
        raise click.UsageError(f"TARGET must be a file of this machine; got {target}.")
    target = os.path.expanduser(target)
    portable.check_target(target, precision)
    if os.path.exists(target):
        raise click.ClickException(f"TARGET must be new; {target} exists already.")
    storage.require_writable(target, "TARGET")
    if precision == INT8 and not source:
        raise click.ClickException("--precision=int8 needs --source: typical images to calibrate.")
    opened = opening.open_source(source, data_dir) if source else None
    trained = loading.open_export(model)
    typical, _ = (
        _read(trained, opened, TRAIN, _CALIBRATION_IMAGES) if precision == INT8 else ((), ())
    )
    samples, labels = _read(trained, opened, TEST, images) if opened else (_sample(trained), None)
    portable.convert(trained, target, precision, typical)
    original = portable.measure_original(trained, samples)
    click.echo(_table(original, portable.measure_file(target, samples), labels))
    if not source:
        click.echo(f"compared on {len(samples)} made-up images; --source compares the accuracy")
    click.echo(f"model    {target}")


def _read(trained, source, split: str, count: int):
    """Returns the first images of a split, uint8 [N, H, W, 3], and their labels."""
    import numpy as np

    from mixer_tf.evaluation.batches import image_batches

    images, labels = [], []
    with progress_counter("images read") as progress:
        for some_images, some_labels in image_batches(trained, source, split):
            images.append(some_images)
            labels.append(some_labels)
            number = sum(map(len, labels))
            progress(number)
            if number >= count:
                break
    if not images:
        raise click.ClickException(
            f"{source.spec} must have usable images in the split {split}; it has none."
        )
    return np.concatenate(images)[:count], np.concatenate(labels)[:count]


def _sample(trained):
    """Returns the images that every export is checked with."""
    import numpy as np
    import tensorflow as tf

    from mixer_tf.export.warmup import sample_images
    from mixer_tf.images.preprocessing import decode_and_crop

    side = trained.recipe.model.image_size
    crop = trained.recipe.data.crop
    return np.stack(
        [decode_and_crop(tf.constant(image), crop, side).numpy() for image in sample_images(side)]
    )


def _table(original, converted, labels) -> str:
    """One row for each model; with labels, their accuracy too."""
    header = ["model", "size", "ms/image"]
    rows = [
        [each.title, f"{each.size / 1e6:,.1f} MB", f"{each.milliseconds_per_image:.1f}"]
        for each in (original, converted)
    ]
    if labels is not None:
        header += ["top-1", "same class"]
        for row, each in zip(rows, (original, converted), strict=True):
            row += [f"{each.top_1(labels):.4f}", f"{each.agreement(original):.4f}"]
    header.append("largest difference")
    rows[0].append("–")
    rows[1].append(f"{converted.largest_difference(original):.1g}")
    return format_table(header, rows)
