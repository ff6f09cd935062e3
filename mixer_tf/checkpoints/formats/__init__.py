# SPDX-License-Identifier: Apache-2.0
"""The file formats of checkpoints: each opens as `LazyArrays`."""
