# SPDX-License-Identifier: Apache-2.0
"""The pipeline: one graph (`definition.py`), one configuration (`configs.py`), and its runners."""
