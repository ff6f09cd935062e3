# SPDX-License-Identifier: Apache-2.0
"""Kubeflow Pipelines v2 and Vertex import the type of an artifact by its name."""

import subprocess
import sys

import pytest
from tfx.utils import import_utils

from components import artifacts


@pytest.mark.parametrize(
    "kind",
    [
        artifacts.DeduplicationReport,
        artifacts.FewShotReport,
        artifacts.ImageStatisticsReport,
        artifacts.QuarantineReport,
        artifacts.ReferenceStatistics,
    ],
)
def test_the_name_of_a_type_is_where_it_is_imported_from(kind):
    assert import_utils.import_class_by_path(kind.TYPE_NAME) is kind


def test_importing_the_package_does_not_import_tfx():
    """Beam's workers import it."""
    code = "import sys, components; assert 'tfx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
