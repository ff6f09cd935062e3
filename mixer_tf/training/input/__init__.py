# SPDX-License-Identifier: Apache-2.0
"""From TFRecord shards to batches of pixels and labels."""
