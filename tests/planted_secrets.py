# SPDX-License-Identifier: Apache-2.0
"""A secret that tests plant, and the files that it has reached."""

import gzip
import pathlib

SECRET = "hunter2"
# As a secret of Kubernetes or the settings of a custom job give them to every step.
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}-aws",
    "DATABASE_URL": f"postgresql://user:{SECRET}@host/db",
    "HF_TOKEN": f"hf_{SECRET}",
}


def files_with_secret(root: pathlib.Path) -> list[str]:
    """The paths of the files below a folder whose content or name has the secret."""
    paths = [path for path in root.rglob("*") if path.is_file()]
    found = [path for path in paths if SECRET.encode() in _content(path)]
    return [str(path) for path in found + [path for path in paths if SECRET in path.name]]


def _content(path: pathlib.Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
