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

from mixer_tf import lazy_attributes
from mixer_tf.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_attributes.attach(
    __name__,
    {
        "MixerB16": "applications",
        "MixerB32": "applications",
        "MixerH14": "applications",
        "MixerL16": "applications",
        "MixerL32": "applications",
        "MixerS16": "applications",
        "MixerS32": "applications",
        "MlpMixer": "factory",
        "create_model": "factory",
        "from_preset": "factory",
        "list_models": "models.registry",
        "load_weights": "checkpoints.loading",
        "save_npz": "checkpoints.loading",
        "upscale": "checkpoints.upscaling",
    },
)
