# SPDX-License-Identifier: Apache-2.0
"""Training: from TFRecord shards and a recipe to an exported SavedModel."""
