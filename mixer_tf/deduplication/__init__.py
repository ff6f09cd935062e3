# SPDX-License-Identifier: Apache-2.0
"""Finds near-duplicate images, by numpy alone; the Deduplicator component runs it in Beam."""
