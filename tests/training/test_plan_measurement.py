# SPDX-License-Identifier: Apache-2.0
"""`mixer plan` measures on this machine alone."""

import os
import shutil

from mixer_tf.planning import measurement
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan


def test_it_measures_where_tf_config_lists_several_workers(
    recipe, dataset, tmp_path, two_workers, monkeypatch
):
    monkeypatch.setenv("TF_CONFIG", two_workers[1])
    shutil.copytree(dataset.folder, tmp_path / "data")
    plan = Plan(recipe, training_length(recipe.training, 30), 30, 13, 3)
    sample = measurement.Sample(8, 30, 13)
    found = measurement.measure(plan, sample, str(tmp_path), dataset.info, 1e9, seconds=0.0)
    assert found.step > 0 and sorted(os.listdir(tmp_path)) == ["data", "logs"]
