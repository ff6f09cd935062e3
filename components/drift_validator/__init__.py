# SPDX-License-Identifier: Apache-2.0
"""DriftValidator: compares the statistics of the data with those of the last accepted data."""

from components.drift_validator.component import DriftValidator

__all__ = ["DriftValidator"]
