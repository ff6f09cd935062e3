# SPDX-License-Identifier: Apache-2.0
"""How many copies the deduplication finds, and which look-alikes it takes for copies."""
