# SPDX-License-Identifier: Apache-2.0
"""The names and shapes that weights have in the checkpoints of each project and model family."""
