# SPDX-License-Identifier: Apache-2.0
"""timm's names and shapes, in both directions."""

import numpy as np
import pytest
from harness import lazy_arrays

from mixer_tf.checkpoints.layouts import timm
from mixer_tf.checkpoints.lazy_arrays import LazyArrays


def assert_equal(found: LazyArrays, expected: dict[str, np.ndarray]) -> None:
    assert found.shapes == {name: array.shape for name, array in expected.items()}
    for name, array in expected.items():
        np.testing.assert_array_equal(found.read(name), array, err_msg=name)


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.", "timm_model."])
def test_from_timm(tiny_model, flax_arrays, timm_arrays, prefix):
    state_dict = {prefix + name: array for name, array in timm_arrays(tiny_model).items()}
    assert timm.is_timm(state_dict)
    assert_equal(timm.from_timm(lazy_arrays(state_dict)), flax_arrays(tiny_model))


def test_to_timm(tiny_model, flax_arrays, timm_arrays):
    flax = flax_arrays(tiny_model)
    assert not timm.is_timm(flax)
    assert_equal(timm.to_timm(lazy_arrays(flax)), timm_arrays(tiny_model))


def test_blocks_of_two_digits():
    shapes = {"blocks.11.mlp_tokens.fc1.weight": (10, 12)}
    assert timm.from_timm(LazyArrays(shapes, None)).shapes == {
        "MixerBlock_11/token_mixing/Dense_0/kernel": (12, 10)
    }


def test_names_that_do_not_belong_to_a_mixer_are_unchanged():
    others = {"stem.norm.weight": (8,), "blocks.0.ls1": (8,), "blocks.0.norm1.running_mean": (8,)}
    assert timm.from_timm(LazyArrays(others, None)).shapes == others


def test_weights_that_timm_does_not_have_are_refused():
    mixing = "MixerBlock_0/token_mixing/Dense_"
    for shape in [(8, 12, 5), (12, 5)]:  # one MLP for each channel; a pyramid
        shapes = {f"{mixing}0/kernel": shape, f"{mixing}1/kernel": (5, 6)}
        with pytest.raises(ValueError, match="timm's Mixer has the paper's token mixing only"):
            timm.to_timm(LazyArrays(shapes, None))
    with pytest.raises(
        ValueError, match="timm's Mixer does not have a weight like MixerBlock_3/other/k"
    ):
        timm.to_timm(LazyArrays({"MixerBlock_3/other/kernel": (1,)}, None))
