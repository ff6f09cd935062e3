# SPDX-License-Identifier: Apache-2.0
"""ModelChecker: opens the exported model as a server would, and blesses it or not."""

from components.model_checker.component import ModelChecker

__all__ = ["ModelChecker"]
