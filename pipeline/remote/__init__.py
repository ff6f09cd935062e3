# SPDX-License-Identifier: Apache-2.0
"""What only the runner for clusters needs: run-time parameters, and a writer for each format."""
