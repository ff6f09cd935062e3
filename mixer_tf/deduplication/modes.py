# SPDX-License-Identifier: Apache-2.0
"""What is done about duplicates, and the range of the one threshold. Imports nothing heavy."""

# Remove them; write into each evaluation and test image what it is a duplicate of; only list them.
REMOVE, MARK, REPORT = "remove", "mark", "report"
MODES = (REMOVE, MARK, REPORT)

# Below this, most of the pairs that are found are not duplicates.
MIN_THRESHOLD = 0.2
