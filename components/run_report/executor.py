# SPDX-License-Identifier: Apache-2.0
"""The executor of RunReport: artifacts to facts, and the facts to a page."""

from __future__ import annotations

import json
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components.run_report.collection import collect
from mixer_tf.reports import page
from mixer_tf.reports.facts import PIPELINE, RunFacts


class Executor(base_executor.BaseExecutor):
    """Writes the page of a run."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component. What is missing is said on the page; it is not an error."""
        run = RunFacts(
            kind=PIPELINE,
            name=exec_properties["pipeline_name"],
            root=exec_properties.get("root") or "",
            options=tuple(json.loads(exec_properties.get("options") or "[]")),
        )
        report = artifact_utils.get_single_instance(output_dict["report"])
        page.write(report.uri, collect(run, input_dict))
