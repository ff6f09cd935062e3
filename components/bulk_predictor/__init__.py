# SPDX-License-Identifier: Apache-2.0
"""BulkPredictor: classifies all images of a source with the blessed model."""

from components.bulk_predictor.component import BulkPredictor

__all__ = ["BulkPredictor"]
