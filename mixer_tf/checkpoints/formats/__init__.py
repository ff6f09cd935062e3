# SPDX-License-Identifier: Apache-2.0
"""The file formats of checkpoints; each opens as `LazyArrays`."""


def corrupt_file_error(path: str, error: Exception) -> ValueError:
    """Returns the error for a file that its format's reader cannot read."""
    return ValueError(f"{path} is corrupt or truncated: {error}; download it again.")
