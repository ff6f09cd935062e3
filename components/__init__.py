# SPDX-License-Identifier: Apache-2.0
"""TFX components: each folder holds component.py, executor.py and transforms.py.

The artifact types are attributes of this package because Kubeflow Pipelines v2 and Vertex import a
type by its name, which they allow only one dot. They are imported on first use: Beam's workers
import this package, and must not import TFX.
"""

from mixer_tf import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes.attach(
    __name__,
    {
        "DeduplicationReport": "artifacts",
        "FewShotReport": "artifacts",
        "ImageStatisticsReport": "artifacts",
        "PipelineReport": "artifacts",
        "QuarantineReport": "artifacts",
        "ReferenceStatistics": "artifacts",
    },
)
