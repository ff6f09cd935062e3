# SPDX-License-Identifier: Apache-2.0
"""The networks: configurations (`*_config.py`), Keras models and costs. Independent of checkpoints.

`mlp_mixer.py` is the paper's model, and `ablations.py` its variants of supplement A.1. `vit.py` and
`bit.py` are the baselines that the paper compares Mixer with. `registry.py` finds all of them by
name, and `costs.py` counts their parameters, multiply-adds and memory.
"""

from __future__ import annotations

from mixer_tf import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes.attach(
    __name__,
    {
        "MixerConfig": "mixer_config",
        "MlpMixer": "mlp_mixer",
        "describe": "registry",
        "list_models": "registry",
    },
)
