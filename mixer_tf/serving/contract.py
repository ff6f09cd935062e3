# SPDX-License-Identifier: Apache-2.0
"""The signatures of an exported model, and the names of their inputs and outputs. Imports nothing.

| signature | input | output |
|---|---|---|
| `serving_default` | `image_bytes`: string [N] | `class_names`, `probabilities`: both [N, k] |
| `pixels` | `pixels`: uint8 [N, H, W, 3] | the same |
| `features` | `image_bytes`: string [N] | `pre_logits`: float [N, hidden_dim] |
| `examples` | `examples`: string [N], tf.Examples | `probabilities` [N, num_classes] by label |

The classes are in descending order of probability. k is `TOP_K`, or the number of classes if that
is smaller. H and W are the model's image size. An example must have the feature `image/encoded`.
Encoded images are JPEG, PNG, GIF or BMP files. In JSON, bytes are base64: `{"b64": "…"}`.

A request is answered as a whole or not at all: one image that cannot be decoded, one value of
another type or shape, fails it with INVALID_ARGUMENT, and no image of the request has an answer.
Where TensorFlow Serving joins the requests of several clients (`--enable_batching`), they fail
together. So clients check images before they send them, as `mixer predict --server` does, or use
`Client.classify_each`, which sends the images of a refused request one by one.
"""

SERVING_SIGNATURE = "serving_default"
PIXELS_SIGNATURE = "pixels"
FEATURES_SIGNATURE = "features"
EXAMPLES_SIGNATURE = "examples"
INIT_SIGNATURE = "__saved_model_init_op"  # TensorFlow's own; it cannot be called

IMAGE_BYTES, PIXELS, EXAMPLES = "image_bytes", "pixels", "examples"
CLASS_NAMES, PROBABILITIES, PRE_LOGITS = "class_names", "probabilities", "pre_logits"

TOP_K = 5  # every signature, printout and metric reads it here when it is used

EXTRA_ASSETS = "assets.extra"
WARMUP_FILE = "tf_serving_warmup_requests"  # the name that TensorFlow Serving looks for
EXPECTED_FILE = "expected_outputs.json"
RECIPE_FILE = "recipe.json"
CLASS_NAMES_FILE = "class_names.json"
LINEAGE_FILE = "lineage.json"  # written by a push; see mixer_tf/serving/lineage.py
MODEL_CARD_FILE = "MODEL_CARD.md"  # written by a push and by `mixer train`


def top_k_metric() -> str:
    """Returns the name of the metric in logs and reports, "top_5_accuracy"."""
    return f"top_{TOP_K}_accuracy"


def top_k_title() -> str:
    """Returns the title of the metric in printouts, "top-5"."""
    return f"top-{TOP_K}"
