# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest

from mixer_tf.checkpoints.layouts.flax_mixer import to_authors_names
from mixer_tf.checkpoints.lazy_arrays import LazyArrays


def stored(arrays) -> LazyArrays:
    return LazyArrays({name: a.shape for name, a in arrays.items()}, arrays.__getitem__)


def in_old_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The reverse of what big_vision's loader does: names of 2021, axes of length 1 added."""
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


def counted_on(arrays):
    return {name.replace("LayerNorm_1/", "LayerNorm_2/"): a for name, a in arrays.items()}


def wrapped_as(prefix):
    def wrap(arrays):
        others = {"opt/state/step": np.int64(3), "opt/state/0/m": np.zeros(7)}
        return {**{f"{prefix}{name}": array for name, array in arrays.items()}, **others}

    return wrap


@pytest.mark.parametrize(
    "disguise",
    [
        dict,
        in_old_names,
        counted_on,
        wrapped_as("params/"),
        wrapped_as("opt/target/"),
        lambda arrays: wrapped_as("opt/target/")(counted_on(in_old_names(arrays))),
    ],
    ids=["new", "old", "old_numbers", "params", "opt_target", "all"],
)
def test_names_and_arrays_of_every_naming(tiny_model, authors_arrays, disguise):
    expected = authors_arrays(tiny_model)
    found = to_authors_names(stored(disguise(expected)))
    assert found.shapes == {name: array.shape for name, array in expected.items()}
    for name, array in expected.items():
        np.testing.assert_array_equal(found.read(name), array, err_msg=name)


def test_names_that_are_no_mixers_stay_as_they_are():
    found = to_authors_names(stored({"Transformer/encoder_norm/bias": np.zeros(3)}))
    assert found.shapes == {"Transformer/encoder_norm/bias": (3,)}


def test_norms_of_a_block_that_lacks_one_keep_their_numbers():
    found = to_authors_names(stored({"MixerBlock_0/LayerNorm_1/scale": np.zeros(3)}))
    assert list(found.shapes) == ["MixerBlock_0/LayerNorm_1/scale"]
