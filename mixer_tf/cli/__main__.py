# SPDX-License-Identifier: Apache-2.0
"""`python -m mixer_tf.cli`, for when the command `mixer` is not on PATH."""

from mixer_tf.cli import main

main(prog_name="mixer")
