# SPDX-License-Identifier: Apache-2.0
"""The page of a deduplication: all pairs, to look at and to judge in a browser."""
