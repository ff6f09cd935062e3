# SPDX-License-Identifier: Apache-2.0
"""RunReport: writes one page about a run, from the data to the served model."""

from components.run_report.component import RunReport

__all__ = ["RunReport"]
