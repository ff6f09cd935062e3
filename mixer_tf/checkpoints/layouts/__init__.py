# SPDX-License-Identifier: Apache-2.0
"""The names and shapes of weights in the checkpoints of each project and model family.

`mixer`, `vit` and `bit` each define, for `loading.py`: HEAD and REPEATED (what error messages
need), published_name, published_shape, to_published, belongs_to_head and hint.
"""
