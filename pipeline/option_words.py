# SPDX-License-Identifier: Apache-2.0
"""The options of a configuration, as they are typed again. Imports neither TensorFlow nor TFX."""

from __future__ import annotations

import dataclasses
import re

from mixer_tf.datasets.sources.source import short_name
from mixer_tf.datasets.statistics_limits import OPTIONS, StatisticsLimits
from pipeline.configs import PipelineConfig

# Field of PipelineConfig → its option.
_VALUES = {
    "data_dir": "--data-dir",
    "exclude": "--exclude",
    "deduplicate": "--deduplicate",
    "duplicate_threshold": "--duplicate-threshold",
    "keep_duplicates": "--keep-duplicates",
    "max_quarantined": "--max-quarantined",
    "min_accuracy": "--min-accuracy",
    "max_accuracy_drop": "--max-accuracy-drop",
    "infra_validator": "--infra-validator",
    "predict": "--predict",
    "strategy": "--strategy",
    "checkpoint_minutes": "--checkpoint-minutes",
    "checkpoint_steps": "--checkpoint-steps",
    "keep_checkpoints": "--keep-checkpoints",
    "profile": "--profile",
}
_FLAGS = {
    "deduplicate_train": "--deduplicate-train",
    "allow_drift": "--allow-drift",
    "warm_start": "--warm-start",
}
_SWITCHES = {"report": "--no-report", "enable_cache": "--no-cache"}
# The local runner adds a digest of the classes to the name.
_DIGEST = re.compile("-[0-9a-f]{8}$")


def option_words(config: PipelineConfig) -> list[str]:
    """Returns the options of the local runner that differ from their defaults.

    Without the source, the recipe and the root; and without --beam, which may hold secrets.

    Args:
        config: the run.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    changed = {name: value for name, value in vars(config).items() if value != defaults[name]}
    words = _name(config)
    words += [f"{option}={changed[name]}" for name, option in _VALUES.items() if name in changed]
    words += [option for name, option in _FLAGS.items() if name in changed]
    words += [option for name, option in _SWITCHES.items() if name in changed]
    words += [f"--downstream-test-sets={spec}" for spec in config.downstream_test_sets]
    if config.few_shot:
        words.append(f"--few-shot={','.join(map(str, config.few_shot))}")
    if "keep_versions" in changed:
        words.append(f"--keep-versions={config.keep_versions or 0}")
    return [*words, *_statistics_limits(config), *_search(config)]


def _name(config: PipelineConfig) -> list[str]:
    """The name, unless it is the one that is made from the source."""
    default, given = short_name(config.source), _DIGEST.sub("", config.name)
    return [] if default in (config.name, given) else [f"--name={given}"]


def _statistics_limits(config: PipelineConfig) -> list[str]:
    limits, defaults = (vars(each) for each in (config.statistics_limits, StatisticsLimits()))
    return [f"{OPTIONS[n]}={limits[n]}" for n in OPTIONS if limits[n] != defaults[n]]


def _search(config: PipelineConfig) -> list[str]:
    if config.search is None:
        return []
    grids = [f"--grid={grid}" for grid in config.search.grids]
    count = [] if config.search.count is None else [f"--random={config.search.count}"]
    return ["--tune", *grids, *count]
