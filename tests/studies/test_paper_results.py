# SPDX-License-Identifier: Apache-2.0
"""The paper's results are consistent with our models and with each other."""

import pytest

from mixer_tf.models import bit_config, registry, vit_config
from mixer_tf.studies import paper_results

CITED_ONLY = {"HaloNet", "NFNet-F4+", "MPL", "ALIGN"}


def test_every_model_exists_here_or_is_only_cited():
    models = {*registry.list_models(), *vit_config.NAMES, *bit_config.NAMES}
    assert {result.model for result in paper_results.RESULTS} - models == CITED_ONLY
    assert set(paper_results.MILLION_PARAMETERS) == set(registry.list_models())


@pytest.mark.parametrize("name", registry.list_models())
def test_table_1_equals_our_parameter_count_without_the_head(name):
    parameters = registry.describe(name, num_classes=0).parameters
    assert round(parameters / 1e6) == paper_results.MILLION_PARAMETERS[name]


@pytest.mark.parametrize("name", registry.list_models())
def test_every_mixer_has_results(name):
    assert paper_results.results_of(name)


def test_imagenet_is_below_real_and_real_below_five_tasks():
    """True of every model in the paper; swapped columns would break it."""
    for result in paper_results.RESULTS:
        assert 0 < result.imagenet < (result.real or 91.5) < (result.five_tasks or 100)


def test_cost_is_proportional_to_epochs():
    """Table 3 has Mixer-L/16 for 7 and for 14 epochs."""
    short, long = (
        result
        for result in paper_results.results_of("mixer_l16")
        if result.pretraining == paper_results.JFT and result.image_size == 224
    )
    assert long.epochs == 2 * short.epochs
    assert long.kilo_core_days == pytest.approx(2 * short.kilo_core_days, abs=0.02)


def test_throughput_depends_on_model_and_image_size_only():
    throughputs = {}
    for result in paper_results.RESULTS:
        key = (result.model, result.image_size)
        assert throughputs.setdefault(key, result.images_per_second) == result.images_per_second
