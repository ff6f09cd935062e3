# SPDX-License-Identifier: Apache-2.0
"""What concerns exported models in use: their contract, where they are, and predictions."""
