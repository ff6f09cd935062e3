# SPDX-License-Identifier: Apache-2.0
"""`mixer report --evaluate` on a model of more classes than top-5 has, against numpy."""

import base64
import itertools

import harness
import numpy as np
import pytest

from mixer_tf import factory
from mixer_tf.datasets import examples
from mixer_tf.export import saved_model
from mixer_tf.features import TEST
from mixer_tf.reports.facts import TRAINING, EvaluationFacts, RunFacts
from mixer_tf.reports.mistakes import with_test_results
from mixer_tf.serving import contract
from mixer_tf.serving.predictor import Predictor

NAMES = (*harness.CLASS_NAMES, "d", "e", "f", "g")


def test_figures_and_mistakes_equal_numpys(tmp_path):
    dataset = harness.write_dataset(str(tmp_path / "data"))
    recipe, exported = harness.tiny_recipe(), str(tmp_path / "serving" / "1")
    model = harness.randomize(factory.from_recipe(recipe, len(NAMES)), 0.5)
    saved_model.export_saved_model(model, recipe, NAMES, exported)
    before = EvaluationFacts(TEST, {"accuracy": 0.123}, {})
    run = RunFacts(TRAINING, "n", str(tmp_path), model=exported, evaluation=before)
    found = with_test_results(run).evaluation

    records = [*itertools.chain.from_iterable(map(examples.read_records, dataset.files(TEST)))]
    rows = Predictor(exported).probabilities([record.encoded for record in records])
    labels, predictions = np.array([record.label for record in records]), rows.argmax(1)
    wrong = np.flatnonzero(labels != predictions)
    ranks = 1 + (rows > rows[np.arange(len(rows)), labels][:, None]).sum(1)
    assert found.metrics == {
        "accuracy": pytest.approx(1 - len(wrong) / len(rows)),
        "example_count": len(rows),
        contract.top_k_metric(): pytest.approx((ranks <= 5).mean()),
    }
    assert found.num_mistakes == len(wrong) >= 3
    confident = wrong[np.argsort(-rows[wrong, predictions[wrong]])]
    worst = wrong[np.argsort(rows[wrong, labels[wrong]])]
    for shown, expected in ((found.mistakes, confident), (found.worst_mistakes, worst)):
        assert [each.image for each in shown] == [records[index].source for index in expected]
        assert [each.rank for each in shown] == ranks[expected].tolist()
        assert [each.predicted for each in shown] == [NAMES[i] for i in predictions[expected]]
        assert all(base64.b64decode(each.thumbnail).startswith(b"\xff\xd8") for each in shown)
