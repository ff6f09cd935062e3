# SPDX-License-Identifier: Apache-2.0
"""Every naming scheme of the authors' Mixer checkpoints."""

import re

import numpy as np
import pytest
from harness import lazy_arrays

from mixer_tf.checkpoints.layouts.flax_mixer import to_flax_names


def in_old_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of big_vision's loader: names of 2021, with additional axes of length 1."""
    old = {}
    for name, array in arrays.items():
        name = name.replace("stem/", "embedding/")
        name = name.replace("pre_head_layer_norm/", "Mixer/encoder_norm/")
        name = name.replace("MixerBlock_", "Mixer/encoderblock_")
        if match := re.fullmatch(r"(.*_mixing)/Dense_([01])/(kernel|bias)", name):
            name = f"{match[1]}_phase_0/{match[3]}{int(match[2]) + 1}"
            array = array[np.newaxis] if match[3] == "kernel" else array[np.newaxis, :, np.newaxis]
        old[name] = array
    return old


def numbered_0_and_2(arrays):
    return {name.replace("LayerNorm_1/", "LayerNorm_2/"): a for name, a in arrays.items()}


def wrapped_in(prefix):
    def wrap(arrays):
        others = {"opt/state/step": np.int64(3), "opt/state/0/m": np.zeros(7)}
        return {**{f"{prefix}{name}": array for name, array in arrays.items()}, **others}

    return wrap


@pytest.mark.parametrize(
    "rename",
    [
        dict,
        in_old_names,
        numbered_0_and_2,
        wrapped_in("params/"),
        wrapped_in("opt/target/"),
        lambda arrays: wrapped_in("opt/target/")(numbered_0_and_2(in_old_names(arrays))),
    ],
    ids=["current", "old", "old_numbers", "params", "opt_target", "all"],
)
def test_every_naming_scheme_gives_the_same_arrays(tiny_model, flax_arrays, rename):
    expected = flax_arrays(tiny_model)
    found = to_flax_names(lazy_arrays(rename(expected)))
    assert found.shapes == {name: array.shape for name, array in expected.items()}
    for name, array in expected.items():
        np.testing.assert_array_equal(found.read(name), array, err_msg=name)


def test_names_that_do_not_belong_to_a_mixer_are_unchanged():
    found = to_flax_names(lazy_arrays({"Transformer/encoder_norm/bias": np.zeros(3)}))
    assert found.shapes == {"Transformer/encoder_norm/bias": (3,)}


def test_the_only_norm_of_a_block_keeps_its_number():
    found = to_flax_names(lazy_arrays({"MixerBlock_0/LayerNorm_1/scale": np.zeros(3)}))
    assert list(found.shapes) == ["MixerBlock_0/LayerNorm_1/scale"]
