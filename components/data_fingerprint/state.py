# SPDX-License-Identifier: Apache-2.0
"""The state of sources as one digest: names, sizes and times of their files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from mixer_tf.datasets.files import file_signature, tree_signature
from mixer_tf.datasets.sources import opening


def digest(exec_properties: Mapping[str, Any]) -> str:
    """Opens each source and returns 16 hexadecimal digits that change when its data change.

    So they do when the list of images to keep, that of images to exclude, or the files of the
    initial weights change.

    Args:
        exec_properties: the parameters of the component.

    Raises:
        ValueError: a source cannot be opened.
    """
    specs = [exec_properties["source"], *json.loads(exec_properties["downstream_test_sets"])]
    data_dir = exec_properties.get("data_dir") or None
    states = [opening.open_source(spec, data_dir).fingerprint() for spec in specs]
    lists = [exec_properties.get(name) for name in ("keep_duplicates", "exclude")]
    states += [file_signature(path) for path in lists if path]
    weights = os.path.expanduser(exec_properties.get("weights") or "")
    states += [tree_signature(weights)] if weights and os.path.exists(weights) else []
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]
