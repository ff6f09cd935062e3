# SPDX-License-Identifier: Apache-2.0
"""Trained models as SavedModels: their signatures, warm-up requests and checks."""
