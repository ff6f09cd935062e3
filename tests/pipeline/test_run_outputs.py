# SPDX-License-Identifier: Apache-2.0
"""Which metrics of a run are shown."""

import pytest

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.serving import contract
from pipeline.local import run_outputs


@pytest.mark.parametrize(("num_classes", "shown"), [(3, False), (4, True)])
def test_top_k_is_left_out_unless_there_are_more_classes(monkeypatch, num_classes, shown):
    monkeypatch.setattr(contract, "TOP_K", 3)
    info = DatasetInfo("digits", tuple("abcd"[:num_classes]), {})
    metrics = {"accuracy": 0.5, "top_3_accuracy": 0.75}
    outputs = run_outputs.RunOutputs.__new__(run_outputs.RunOutputs)
    monkeypatch.setattr(outputs, "uri", lambda node_id, key: "/evaluation")
    monkeypatch.setattr(outputs, "dataset_info", lambda: info)
    monkeypatch.setattr(run_outputs, "_overall_metrics", lambda uri: dict(metrics))
    assert outputs.metrics() == (metrics if shown else {"accuracy": 0.5})
