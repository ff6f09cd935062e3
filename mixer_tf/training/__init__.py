# SPDX-License-Identifier: Apache-2.0
"""Training: from TFRecord shards and a recipe to a trained model, and to its export."""
