# SPDX-License-Identifier: Apache-2.0
"""The models. Names are resolved when they are used, so that a table of models needs no TensorFlow.

`config.py` validates, `layers.py` computes, `mlp_mixer.py` assembles, `presets.py` names,
`costs.py` counts, `families.py` knows ViT and BiT (`vit.py`, `resnet_bit.py`), `applications.py`
offers the constructors of keras.applications.
"""

from __future__ import annotations

import importlib

_HOME = {
    "MixerConfig": "config",
    "MlpMixer": "mlp_mixer",
    "create_model": "presets",
    "describe": "presets",
    "list_models": "presets",
    "MixerS32": "applications",
    "MixerS16": "applications",
    "MixerB32": "applications",
    "MixerB16": "applications",
    "MixerL32": "applications",
    "MixerL16": "applications",
    "MixerH14": "applications",
}
__all__ = list(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
