# SPDX-License-Identifier: Apache-2.0
"""A tiny Mixer with weights as large as trained ones, and its arrays in each layout."""

from __future__ import annotations

import harness
import numpy as np
import pytest


@pytest.fixture
def make_tiny():
    """make_tiny(seed=0, **fields) -> `harness.TINY_MIXER` with random weights."""
    return harness.make_mixer


@pytest.fixture
def tiny_model(make_tiny):
    return make_tiny()


@pytest.fixture
def flax_arrays():
    """flax_arrays(model) -> the arrays of a published file, by published name.

    Written by hand, without the code under test.
    """

    def arrays(model) -> dict[str, np.ndarray]:
        stem, norm = model.get_layer("stem"), model.get_layer("pre_head_layer_norm")
        found = {
            "stem/kernel": stem.kernel,
            "stem/bias": stem.bias,
            "pre_head_layer_norm/scale": norm.gamma,
            "pre_head_layer_norm/bias": norm.beta,
        }
        if model.config.num_classes:
            head = model.get_layer("head")
            found |= {"head/kernel": head.kernel, "head/bias": head.bias}
        for i in range(model.config.num_blocks):
            block = model.get_layer(f"MixerBlock_{i}")
            for n, norm in enumerate((block.norm_0, block.norm_1)):
                found[f"MixerBlock_{i}/LayerNorm_{n}/scale"] = norm.gamma
                found[f"MixerBlock_{i}/LayerNorm_{n}/bias"] = norm.beta
            for mixing in ("token_mixing", "channel_mixing"):
                mlp = getattr(block, mixing)
                for n, dense in enumerate((mlp.dense_0, mlp.dense_1)):
                    found[f"MixerBlock_{i}/{mixing}/Dense_{n}/kernel"] = dense.kernel
                    found[f"MixerBlock_{i}/{mixing}/Dense_{n}/bias"] = dense.bias
        return {name: variable.numpy() for name, variable in found.items()}

    return arrays


@pytest.fixture
def timm_arrays(flax_arrays):
    """timm_arrays(model) -> the arrays of timm's state dict, written by hand."""

    def arrays(model) -> dict[str, np.ndarray]:
        flax = flax_arrays(model)
        found = {
            "stem.proj.weight": flax["stem/kernel"].transpose(3, 2, 0, 1),
            "stem.proj.bias": flax["stem/bias"],
            "norm.weight": flax["pre_head_layer_norm/scale"],
            "norm.bias": flax["pre_head_layer_norm/bias"],
            "head.weight": flax["head/kernel"].T,
            "head.bias": flax["head/bias"],
        }
        for i in range(model.config.num_blocks):
            block = f"MixerBlock_{i}"
            for n in (0, 1):
                found[f"blocks.{i}.norm{n + 1}.weight"] = flax[f"{block}/LayerNorm_{n}/scale"]
                found[f"blocks.{i}.norm{n + 1}.bias"] = flax[f"{block}/LayerNorm_{n}/bias"]
                for mlp, mixing in (
                    ("mlp_tokens", "token_mixing"),
                    ("mlp_channels", "channel_mixing"),
                ):
                    dense = f"{block}/{mixing}/Dense_{n}"
                    found[f"blocks.{i}.{mlp}.fc{n + 1}.weight"] = flax[f"{dense}/kernel"].T
                    found[f"blocks.{i}.{mlp}.fc{n + 1}.bias"] = flax[f"{dense}/bias"]
        return {name: np.ascontiguousarray(array) for name, array in found.items()}

    return arrays
