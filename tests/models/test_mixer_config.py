# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import pytest
from harness import TINY_MIXER

from mixer_tf.models.mixer_config import MixerConfig


@pytest.mark.parametrize(
    ("image_size", "patch_size", "message"),
    [
        (224, 15, "got patch_size=15, image_size=224. Use patch_size 14 or 16, or image_size 210"),
        ((32, 48), 5, r"image_size=\(32, 48\). Use patch_size 4 or 8, or image_size \(30, 45\) or"),
        (20, 32, "image_size=20. Use patch_size 20, or image_size 32."),
    ],
)
def test_impossible_patch_size_names_possible_ones(image_size, patch_size, message):
    with pytest.raises(ValueError, match=message):
        MixerConfig(**{**TINY_MIXER, "image_size": image_size, "patch_size": patch_size})


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("num_blocks", 0, ValueError, "num_blocks must be at least 1; got 0."),
        ("hidden_dim", 8.0, TypeError, "hidden_dim must be an integer; got 8.0."),
        ("num_classes", -1, ValueError, "num_classes must be at least 0; got -1."),
        ("dropout", 1.0, ValueError, "dropout must be at least 0 and less than 1; got 1.0."),
        ("dropout", float("nan"), ValueError, "less than 1; got nan."),
        ("stochastic_depth", "0.1", TypeError, "stochastic_depth must be a number; got '0.1'."),
        ("image_size", (32, 32, 3), ValueError, "must be one integer or .height, width.; got"),
        ("image_size", "32", TypeError, "image_size must be an integer; got '32'."),
    ],
)
def test_impossible_value_is_named_with_the_rule(field, value, error, message):
    with pytest.raises(error, match=message):
        MixerConfig(**{**TINY_MIXER, field: value})


def test_config_survives_json():
    config = MixerConfig(**TINY_MIXER, dropout=0.1)
    assert MixerConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_drop_rate_grows_linearly_from_first_to_last_block():
    config = MixerConfig(**{**TINY_MIXER, "num_blocks": 5}, stochastic_depth=0.1)
    assert [config.drop_rate(i) for i in range(5)] == pytest.approx([0, 0.025, 0.05, 0.075, 0.1])


def test_a_single_block_is_never_dropped():
    assert MixerConfig(**{**TINY_MIXER, "num_blocks": 1}, stochastic_depth=0.1).drop_rate(0) == 0
