# SPDX-License-Identifier: Apache-2.0
"""TFX components: each folder holds component.py, executor.py and transforms.py."""
