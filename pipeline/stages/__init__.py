# SPDX-License-Identifier: Apache-2.0
"""The stages of the pipeline: each is a function from a config and channels to its components."""
