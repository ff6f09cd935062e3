# SPDX-License-Identifier: Apache-2.0
"""The names by which an exported model is asked and answers. Imports nothing.

| signature | asks with | answers |
|---|---|---|
| `serving_default` | `image_bytes`: string [N] | `class_names`, `probabilities` [N, k], best 1st |
| `pixels` | `pixels`: uint8 [N, H, W, 3] | the same |
| `features` | `image_bytes`: string [N] | `pre_logits`: float [N, hidden_dim] |
| `examples` | `examples`: string [N], tf.Examples | `probabilities` [N, num_classes] by label |

k is `TOP_K`, or the number of classes where that is smaller. TensorFlow Serving's REST interface
takes `image_bytes` in base64, because the name ends in `_bytes`.
"""

SERVING_SIGNATURE = "serving_default"
PIXELS_SIGNATURE = "pixels"
FEATURES_SIGNATURE = "features"
EXAMPLES_SIGNATURE = "examples"

IMAGE_BYTES, PIXELS, EXAMPLES = "image_bytes", "pixels", "examples"
CLASS_NAMES, PROBABILITIES, PRE_LOGITS = "class_names", "probabilities", "pre_logits"

TOP_K = 5  # every signature, printout and metric reads it here, at the time of its use

EXTRA_ASSETS = "assets.extra"
WARMUP_FILE = "tf_serving_warmup_requests"  # the name that TensorFlow Serving looks for
EXPECTED_FILE = "expected_outputs.json"
RECIPE_FILE = "recipe.json"
CLASS_NAMES_FILE = "class_names.json"


def top_k_metric() -> str:
    """Returns the name of the metric, "top_5_accuracy"."""
    return f"top_{TOP_K}_accuracy"


def top_k_title() -> str:
    """Returns what printouts call it, "top-5"."""
    return f"top-{TOP_K}"
