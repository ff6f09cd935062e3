# SPDX-License-Identifier: Apache-2.0
"""What is done about duplicates, and the range of the one threshold. Imports nothing heavy."""

# Remove them; only list them.
REMOVE, REPORT = "remove", "report"
MODES = (REMOVE, REPORT)

# Below this, candidates are pairs with a negative cosine, which is nearly every pair.
MIN_THRESHOLD = 0.5
