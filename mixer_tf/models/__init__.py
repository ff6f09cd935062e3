# SPDX-License-Identifier: Apache-2.0
"""The networks: what they are (`*_config.py`), how they compute, what they cost. No weights.

`mlp_mixer.py` is the paper's model, of `layers.py`; `ablations.py` holds what supplement A.1 tries
besides it. `vit.py` and `bit.py` are the models that the paper compares Mixer with. `registry.py`
knows all of them by name, and `costs.py` counts.
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
