# SPDX-License-Identifier: Apache-2.0
"""`mixer study`: the paper's studies, on models and data of your own."""

from __future__ import annotations

import click

from mixer_tf.cli.ablation_study import ablations
from mixer_tf.cli.pareto_study import pareto
from mixer_tf.cli.permutation_study import permutation
from mixer_tf.cli.scaling_study import scaling


@click.group()
def study() -> None:
    """Repeats a study of the paper on models and data of your own.

    \b
    Examples:
      mixer study permutation pets-model --source=folder:pets
      mixer study scaling --source=folder:pets --models=mixer_s16,vit_s16,bit_r50x1
      mixer study ablations --source=folder:pets
      mixer study pareto --run=pets-model
    """


for command in (permutation, scaling, ablations, pareto):
    study.add_command(command)
