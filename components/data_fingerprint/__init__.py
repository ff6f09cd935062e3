# SPDX-License-Identifier: Apache-2.0
"""DataFingerprint: finds the state of the data when a run starts, for the cache of later steps."""

from components.data_fingerprint.component import DataFingerprint

__all__ = ["DataFingerprint"]
