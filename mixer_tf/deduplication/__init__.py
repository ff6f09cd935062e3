# SPDX-License-Identifier: Apache-2.0
"""Finds near-duplicate images without TensorFlow; `local` runs it here, Deduplicator in Beam."""
