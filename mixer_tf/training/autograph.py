# SPDX-License-Identifier: Apache-2.0
"""The decorator of functions that TensorFlow must run as they are written."""

from __future__ import annotations

import tensorflow as tf

# No layer and no input pipeline of ours needs autograph, whose conversion takes seconds at every
# start.
without_autograph = tf.autograph.experimental.do_not_convert
