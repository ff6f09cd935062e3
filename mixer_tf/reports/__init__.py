# SPDX-License-Identifier: Apache-2.0
"""Reports of runs: their facts as one object, as a page, and compared with each other."""
