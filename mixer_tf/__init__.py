# SPDX-License-Identifier: Apache-2.0
"""mixer_tf: MLP-Mixer in Keras, from a folder of images to a served model.

```
import mixer_tf

mixer_tf.list_models()
model = mixer_tf.create_model("mixer_s16", image_size=224, num_classes=10)
logits = model(images)  # uint8 [N, 224, 224, 3] -> [N, 10]
```

Importing the package imports no TensorFlow; the first use of a model does.
"""

from __future__ import annotations

import importlib

from mixer_tf.version import __version__ as __version__

_FROM_MODELS = (
    "MixerB16",
    "MixerB32",
    "MixerH14",
    "MixerL16",
    "MixerL32",
    "MixerS16",
    "MixerS32",
    "MlpMixer",
    "create_model",
    "list_models",
)
_FROM_CHECKPOINTS = ("load_weights", "save_npz", "upscale")
__all__ = ["__version__", *_FROM_MODELS, *_FROM_CHECKPOINTS]


def __getattr__(name: str):
    if name in _FROM_MODELS:
        return getattr(importlib.import_module("mixer_tf.models"), name)
    if name in _FROM_CHECKPOINTS:
        return getattr(importlib.import_module("mixer_tf.checkpoints"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
