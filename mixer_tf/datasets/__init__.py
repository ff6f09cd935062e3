# SPDX-License-Identifier: Apache-2.0
"""Images with labels: where they come from, their splits, their validation, and their shards."""
