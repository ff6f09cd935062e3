# SPDX-License-Identifier: Apache-2.0
"""Against Kronecker products; test_upscaling.py has two exact properties of the network."""

import numpy as np
import pytest
from harness import lazy_arrays

from mixer_tf.checkpoints.block_diagonal import block_diagonal, interpolate

ROWS, COLUMNS, WIDTH = 3, 4, 5
TOKENS = ROWS * COLUMNS
MLP = "MixerBlock_7/token_mixing"


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shapes = {
        "stem/kernel": (4, 4, 3, 8),
        f"{MLP}/Dense_0/kernel": (TOKENS, WIDTH),
        f"{MLP}/Dense_0/bias": (WIDTH,),
        f"{MLP}/Dense_1/kernel": (WIDTH, TOKENS),
        f"{MLP}/Dense_1/bias": (TOKENS,),
        "MixerBlock_7/channel_mixing/Dense_0/kernel": (TOKENS, WIDTH),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_weights_are_kronecker_products_in_token_order(arrays, factor):
    # Token (r, c) of the larger grid is in tile (r // h)·K + c // w, at index (r % h)·w + c % w.
    r, c = np.divmod(np.arange(factor**2 * TOKENS), factor * COLUMNS)
    tile = r // ROWS * factor + c // COLUMNS
    order = tile * TOKENS + r % ROWS * COLUMNS + c % COLUMNS
    copies = np.eye(factor**2)
    expected = {
        **arrays,
        f"{MLP}/Dense_0/kernel": np.kron(copies, arrays[f"{MLP}/Dense_0/kernel"])[order, :],
        f"{MLP}/Dense_0/bias": np.tile(arrays[f"{MLP}/Dense_0/bias"], factor**2),
        f"{MLP}/Dense_1/kernel": np.kron(copies, arrays[f"{MLP}/Dense_1/kernel"])[:, order],
        f"{MLP}/Dense_1/bias": np.tile(arrays[f"{MLP}/Dense_1/bias"], factor**2)[order],
    }
    found = block_diagonal(lazy_arrays(arrays), (ROWS, COLUMNS), factor)
    assert found.shapes == {name: array.shape for name, array in expected.items()}
    for name, array in expected.items():
        np.testing.assert_array_equal(found.read(name), array, err_msg=name)


def test_interpolation_to_the_same_grid_changes_nothing(arrays):
    found = interpolate(lazy_arrays(arrays), (ROWS, COLUMNS), (ROWS, COLUMNS))
    for name, array in arrays.items():
        np.testing.assert_allclose(found.read(name), array, rtol=1e-6)


@pytest.mark.parametrize("grid", [(5, 6), (2, 3)])
def test_interpolation_resizes_kernels_and_keeps_the_sum_of_input_weights(arrays, grid):
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    ramp = (rows + 10 * columns).ravel().astype(np.float32)
    arrays[f"{MLP}/Dense_0/kernel"][:, 0] = ramp
    arrays[f"{MLP}/Dense_1/kernel"][0] = 3.0
    found = interpolate(lazy_arrays(arrays), (ROWS, COLUMNS), grid)
    assert found.read(f"{MLP}/Dense_0/kernel").shape == (np.prod(grid), WIDTH)
    assert found.read(f"{MLP}/Dense_1/kernel").shape == (WIDTH, np.prod(grid))
    assert found.read(f"{MLP}/Dense_1/bias").shape == (np.prod(grid),)
    read = found.read(f"{MLP}/Dense_0/kernel")[:, 0].reshape(grid)
    assert (np.diff(read, axis=0) > 0).all() and (np.diff(read, axis=1) > 0).all()
    np.testing.assert_allclose(read.sum(), ramp.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.read(f"{MLP}/Dense_1/kernel")[0], 3.0, rtol=1e-6)
