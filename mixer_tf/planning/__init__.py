# SPDX-License-Identifier: Apache-2.0
"""What a training costs, before it runs: time, memory, energy and price on several devices."""
