# SPDX-License-Identifier: Apache-2.0
"""What training does to its images, always by stateless seeds."""
