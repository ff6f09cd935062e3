# SPDX-License-Identifier: Apache-2.0
"""How good a model is, by the images of a source."""
