# SPDX-License-Identifier: Apache-2.0
"""What only the local runner needs: progress on a terminal, and the summary of a run."""
