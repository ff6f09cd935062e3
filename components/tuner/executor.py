# SPDX-License-Identifier: Apache-2.0
"""The executor of Tuner: trains the trials of a search, and writes the best hyperparameters.

Its `custom_config` holds

* `recipe`: the recipe as JSON,
* `grids` and `count`: as `search_space.Search` takes them,
* `strategy`: a name that `distribution.create_strategy` knows,
* `trials_dir`: a folder that stays from run to run, so that finished trials are not repeated and
  interrupted ones resume,
* `fingerprint`: the state of the code and of whatever else a training depends on.
"""

from __future__ import annotations

import os
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components import training_config
from components.tuner import results as tuner_results
from mixer_tf import messages
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import cluster, gpus, interruption, sweep, sweep_trials
from mixer_tf.training.search_space import Search


class Executor(base_executor.BaseExecutor):
    """Searches with `mixer_tf.training.sweep`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        After SIGTERM, the trials that run save, and the process ends with exit code 143; the same
        step resumes them.

        Raises:
            ValueError: a value does not fit the recipe, there is no image to choose by, the step
                has several workers, or all trials failed.
        """
        config = training_config.complete(exec_properties, "trials_dir")
        data = artifact_utils.get_single_uri(input_dict["examples"])
        _require_one_worker()
        _require_evaluation(data)
        recipe = Recipe.from_json(config["recipe"])
        points = Search(tuple(config["grids"]), config["count"]).points(recipe)
        root = os.path.join(config["trials_dir"], trials_key(config, data))
        trials = sweep_trials.make_trials(recipe, points, [recipe.training.seed], root)
        with interruption.exits_after_sigterm():
            results = sweep.run(
                trials,
                data,
                strategy=config["strategy"],
                parallel=_parallel(config["strategy"]),
                finished=_ProgressLines(len(trials)),
            )
        sweep_trials.write_results(recipe, results, root)
        tuner_results.write(
            results,
            artifact_utils.get_single_uri(output_dict["best_hyperparameters"]),
            artifact_utils.get_single_uri(output_dict["tuner_results"]),
        )


def trials_key(config: dict, data: str) -> str:
    """Returns the name of the folder of the trials: the same for the same code and input files.

    The recipe is not part of it: each trial's own folder has a name made from its recipe, so that
    another grid reuses what is finished.
    """
    files = [path for split in (TRAIN, EVAL) for path in examples.list_shards(data, split)]
    return training_config.key([config["fingerprint"]], files)


class _ProgressLines:
    """Prints one line for each finished trial."""

    def __init__(self, total: int):
        self._total, self._done = total, 0

    def __call__(self, result: sweep_trials.Result) -> None:
        self._done += 1
        reached = result.problem or f"top-1 {result.accuracy:.4f}"
        text = f"trial {self._done}/{self._total}  {' '.join(result.trial.point)}  {reached}"
        print(messages.visible(text), flush=True)


def _parallel(strategy: str) -> int:
    """One trial on each GPU, unless a strategy is named that uses several devices."""
    return gpus.count_gpus() if strategy in ("auto", "default") else 1


def _require_one_worker() -> None:
    if cluster.num_workers() > 1:
        raise ValueError(
            f"a search must run on one machine; {cluster.VARIABLE} lists {cluster.num_workers()} "
            "workers. Start it on one of them, or search with mixer sweep first."
        )


def _require_evaluation(data: str) -> None:
    info = DatasetInfo.read(data)
    if not info.examples.get(EVAL):
        raise ValueError(
            f"a search requires an evaluation split to choose by; {info.source} has none. Leave "
            "out its split folders, state a split with --splits, or leave out --tune."
        )
