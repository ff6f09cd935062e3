# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
from harness import weights_by_name
from numpy_models import NumpyBiT

from mixer_tf.models import bit_config, costs
from mixer_tf.models.bit import BiTResNet
from mixer_tf.models.bit_config import BiTConfig

# With 1000 classes, in millions: "Params (M)" of the model cards of timm's copies of the authors'
# weights (resnetv2_50x1_bit.goog_in21k_ft_in1k …); there are none for R152x1, R50x2 and R200x3.
PUBLISHED_MILLIONS = {
    "bit_r50x1": 25.5,
    "bit_r101x1": 44.5,
    "bit_r50x3": 217.3,
    "bit_r152x2": 236.3,
    "bit_r101x3": 387.9,
    "bit_r152x4": 936.5,
}
# With the 21,843 classes of ImageNet-21k: the same cards (resnetv2_50x1_bit.goog_in21k …).
PUBLISHED_MILLIONS_21K = {"bit_r50x1": 68.3, "bit_r101x1": 87.2, "bit_r101x3": 516.0}
# Exact, by hand: test_parameters_by_hand adds up R50x1, and the others follow the same sums.
EXACT = {
    "bit_r50x1": 25_549_352,
    "bit_r101x1": 44_541_480,
    "bit_r152x1": 60_185_128,
    "bit_r50x2": 97_988_712,
    "bit_r50x3": 217_319_080,
    "bit_r152x2": 236_335_208,
    "bit_r101x3": 387_934_888,
    "bit_r200x3": 568_633_000,
    "bit_r152x4": 936_533_224,
}


def config(name, image_size=224, **fields):
    return BiTConfig(image_size=image_size, **{**bit_config.parse(name)[1], **fields})


def test_no_model_is_missing_from_the_table():
    assert list(EXACT) == list(bit_config.NAMES)


@pytest.mark.parametrize("name", EXACT)
def test_parameters_of_every_model(name):
    assert costs.count_parameters(config(name)) == EXACT[name]


def test_parameters_match_the_published_ones():
    for published, num_classes in ((PUBLISHED_MILLIONS, 1000), (PUBLISHED_MILLIONS_21K, 21_843)):
        for name, millions in published.items():
            counted = costs.count_parameters(config(name, num_classes=num_classes))
            assert round(counted / 1e6, 1) == pytest.approx(millions), name


def test_parameters_by_hand():
    """R50x1: per unit three GroupNorms and three kernels; one projection per block."""
    total = 7 * 7 * 3 * 64  # root
    inputs = 64
    for units, width in ((3, 64), (4, 128), (6, 256), (3, 512)):
        total += inputs * 4 * width  # projection
        for _ in range(units):
            total += 2 * inputs + inputs * width  # a
            total += 2 * width + 9 * width * width  # b
            total += 2 * width + width * 4 * width  # c
            inputs = 4 * width
    total += 2 * 2048 + 2048 * 1000 + 1000
    assert total == EXACT["bit_r50x1"]


@pytest.mark.parametrize("num_units, num_classes", [((1, 2), 5), ((2, 1, 1), 0)])
def test_costs_match_the_computation(num_units, num_classes):
    tiny = BiTConfig(
        image_size=(13, 18), num_units=num_units, width=8, num_groups=4, num_classes=num_classes
    )
    model = BiTResNet(**dataclasses.asdict(tiny))
    reference = NumpyBiT(weights_by_name(model), 4)
    reference(np.zeros((1, 13, 18, 3)))
    assert costs.count_parameters(tiny) == model.count_params()
    assert costs.count_multiply_adds(tiny) == reference.multiply_adds


def test_built_model_has_the_counted_parameters():
    model = BiTResNet(**dataclasses.asdict(config("bit_r50x1", image_size=32)))
    assert model.count_params() == EXACT["bit_r50x1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXACT if name != "bit_r50x1"])
def test_every_built_model_has_the_counted_parameters(name):
    model = BiTResNet(**dataclasses.asdict(config(name, image_size=32)))
    assert model.count_params() == EXACT[name]


@pytest.mark.parametrize("name", ["bit_r50x1", "BiT-R50x1", "bit-r50x1", "BIT_R50X1"])
def test_a_name_has_several_spellings(name):
    assert bit_config.parse(name)[0] == "bit_r50x1"


@pytest.mark.parametrize("name", ["r50x1", "bit_r51x1", "bit_r50x0", "bit_r50", "mixer_b16"])
def test_other_names_are_not_a_bit(name):
    assert bit_config.parse(name) is None


def test_units_follow_the_order_of_the_network():
    units = list(config("bit_r50x3", stochastic_depth=0.3).units())
    assert len(units) == 16
    assert [unit.block for unit in units if unit.index == 1] == [1, 2, 3, 4]
    assert [unit.stride for unit in units if unit.index == 1] == [1, 2, 2, 2]
    assert all(unit.has_projection == (unit.index == 1) for unit in units)
    assert (units[0].inputs, units[0].channels, units[-1].outputs) == (192, 192, 6144)
    assert [units[0].drop_rate, units[5].drop_rate, units[15].drop_rate] == pytest.approx(
        [0, 0.1, 0.3]
    )


@pytest.mark.parametrize(
    "fields, error, message",
    [
        (dict(num_groups=48), ValueError, "num_groups must divide width; got num_groups=48, wi"),
        (dict(num_units=()), TypeError, r"num_units must have one integer .* got \(\)"),
        (dict(num_units=3), TypeError, "num_units must have one integer for each block"),
        (dict(num_units=(3, 0)), ValueError, "num_units must be at least 1; got 0"),
        (dict(width=0), ValueError, "width must be at least 1; got 0"),
        (dict(dropout=1.0), ValueError, "dropout must be at least 0 and less than 1; got 1.0"),
    ],
    ids=str,
)
def test_impossible_values_are_errors(fields, error, message):
    with pytest.raises(error, match=message):
        config("bit_r50x1", **fields)
