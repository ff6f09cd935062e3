# SPDX-License-Identifier: Apache-2.0
"""The command `mixer`: one module for each sub-command, with heavy imports inside functions."""

from __future__ import annotations

import click

from mixer_tf.cli.bench import bench
from mixer_tf.cli.check import check
from mixer_tf.cli.command import verbose_option
from mixer_tf.cli.convert import convert
from mixer_tf.cli.data import data
from mixer_tf.cli.dedup import dedup
from mixer_tf.cli.doctor import doctor
from mixer_tf.cli.evaluate import evaluate
from mixer_tf.cli.export import export
from mixer_tf.cli.fewshot import fewshot
from mixer_tf.cli.info import info
from mixer_tf.cli.models import models
from mixer_tf.cli.plan import plan
from mixer_tf.cli.plot import plot
from mixer_tf.cli.predict import predict
from mixer_tf.cli.recipes import recipes
from mixer_tf.cli.report import report
from mixer_tf.cli.rollback import rollback
from mixer_tf.cli.runs import runs
from mixer_tf.cli.serve import serve
from mixer_tf.cli.study import study
from mixer_tf.cli.sweep import sweep
from mixer_tf.cli.train import train
from mixer_tf.cli.upscale import upscale
from mixer_tf.cli.versions import versions
from mixer_tf.cli.vtab import vtab
from mixer_tf.version import __version__


@click.group(context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="mixer_tf %(version)s")
@verbose_option
def main() -> None:
    """MLP-Mixer, from a folder of images to a served model.

    \b
    Train your first model, from a folder with one sub-folder for each class:
      mixer train --source=folder:pets --output=pets-model
      mixer evaluate pets-model --source=folder:pets
      mixer predict pets-model photo.jpg

    `mixer COMMAND --help` has examples. The whole pipeline, which also removes duplicates,
    validates the data and pushes only a model that passes, is `python -m pipeline.local_runner`.
    """


for command in (
    dedup,
    plan,
    train,
    sweep,
    evaluate,
    fewshot,
    vtab,
    predict,
    report,
    runs,
    export,
    versions,
    rollback,
    check,
    serve,
    bench,
    upscale,
    convert,
    plot,
    data,
    study,
    info,
    models,
    recipes,
    doctor,
):
    main.add_command(command)
