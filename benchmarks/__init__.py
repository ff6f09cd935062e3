# SPDX-License-Identifier: Apache-2.0
"""Commands that measure, as shares of what the machine or another program reaches."""
