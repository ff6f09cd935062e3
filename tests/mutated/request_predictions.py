# SPDX-License-Identifier: Apache-2.0
"""Sends mutated requests to an exported model; started by tests/export/test_mutated_requests.py."""

import sys

import mutations
import tensorflow as tf
from read_images import mutated, originals

from mixer_tf import features
from mixer_tf.serving import contract


def as_example(encoded: bytes) -> bytes:
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    feature = tf.train.Features(feature={features.ENCODED: value})
    return tf.train.Example(features=feature).SerializeToString()


def reader(signature, good: bytes):
    """Returns a function that sends a request, and a good one after it."""
    (name,) = signature.structured_input_signature[1]

    def read(content: bytes) -> str | None:
        try:
            signature(**{name: tf.constant([content])})
        except (
            tf.errors.InvalidArgumentError,
            tf.errors.DataLossError,
            tf.errors.CancelledError,
        ):
            # Cancelled: of operations that ran at once one failed, and another is reported.
            answer = None
        except UnicodeDecodeError as error:
            # The same refusal: TensorFlow cannot decode its own message, which has the bytes.
            answer = None if b"Could not parse example" in error.object else repr(error)
        else:
            answer = ""
        outputs = signature(**{name: tf.constant([good])})
        is_finite = all(
            tf.reduce_all(tf.math.is_finite(value))
            for value in outputs.values()
            if value.dtype == tf.float32
        )
        return answer if is_finite else "no numbers for a good image after it"

    return read


if __name__ == "__main__":
    folder, signature_name, image_format, count = sys.argv[1:]
    model = tf.saved_model.load(folder)
    good = originals("PNG")[0]
    if signature_name == contract.EXAMPLES_SIGNATURE:
        good = as_example(good)
        contents = mutations.mutate(as_example(originals(image_format)[0]), int(count))
    else:
        contents = mutated(image_format, int(count))
    mutations.report(contents, reader(model.signatures[signature_name], good))
