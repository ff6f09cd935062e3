# SPDX-License-Identifier: Apache-2.0
"""What concerns an exported model: its warm-up requests, and checks of them."""
