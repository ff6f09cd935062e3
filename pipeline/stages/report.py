# SPDX-License-Identifier: Apache-2.0
"""The report stage: one page about the run, from what all other stages have written."""

from __future__ import annotations

import dataclasses

from components.run_report import RunReport
from components.run_report.collection import OUTPUTS
from pipeline.configs import PipelineConfig
from pipeline.option_words import option_words
from pipeline.stages import stage


@dataclasses.dataclass(frozen=True)
class ReportStage(stage.Stage):
    """The component that writes the page."""

    run_report: RunReport | None


def create_report_stage(config: PipelineConfig, *stages: stage.Stage) -> ReportStage:
    """Writes the page of the run, after all other steps.

    Args:
        config: the run.
        *stages: the other stages; a component that is not there is a step that does not run.
    """
    if not config.report:
        return ReportStage(None)
    nodes = {node.id: node for each in stages for node in each.components}
    channels = {
        name: nodes[step].outputs[key] for name, (step, key) in OUTPUTS.items() if step in nodes
    }
    return ReportStage(
        RunReport(
            pipeline_name=config.name,
            options=option_words(config),
            root=config.root,
            fingerprint=config.fingerprints.run_report,
            **channels,
        )
    )
