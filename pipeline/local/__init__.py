# SPDX-License-Identifier: Apache-2.0
"""What only the local runner needs: its root folder, progress on a terminal, the summary."""
