# SPDX-License-Identifier: Apache-2.0
"""VTAB-1k: 19 tasks with 1,000 training images each (Zhai et al., arXiv:1910.04867)."""
