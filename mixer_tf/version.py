# SPDX-License-Identifier: Apache-2.0
"""The version of mixer_tf: read by the package, by setup.py and by the command line."""

__version__ = "0.1.0"
