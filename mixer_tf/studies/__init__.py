# SPDX-License-Identifier: Apache-2.0
"""The paper's studies of a Mixer, and its figures to compare with. Imported module by module."""
