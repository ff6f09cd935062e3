# SPDX-License-Identifier: Apache-2.0
"""A search for hyperparameters: trains recipes one after another, or on several devices at once.

The folder holds

* `data/`: the images, as `from_source` writes them, once for all trials,
* `trials/learning_rate=…-1f3a90/`: the logs of a trial, its checkpoints while it is not finished,
  `result.json`, and `output.txt`, what it has printed (not in a bucket),
* `results.csv`: one row for each trial, and `best_recipe.json`: what `mixer train --recipe` takes,
* `training.json` and `.lock`: as in the folder of one training.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from mixer_tf import storage
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import interruption, reporting
from mixer_tf.training.search_space import SEED, Point

BEST_RECIPE = "best_recipe.json"
RESULTS = "results.csv"
_RESULT = "result.json"
_OUTPUT = "output.txt"
_MAX_NAME = 80
_CHECKPOINTS = "checkpoints"
_STOPPED = 130
_PATIENCE_SECONDS = 600.0  # in which a trial that is stopped finishes its step and saves


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        number: from 1.
        point: the assignments that it tries.
        seed: the random seed of the training.
        folder: where its files are.
        recipe: the whole recipe.
    """

    number: int
    point: Point
    seed: int
    folder: str
    recipe: Recipe


@dataclasses.dataclass(frozen=True)
class Result:
    """What a trial has reached.

    Attributes:
        trial: the trial.
        accuracy: top-1 on the evaluation split; None if it failed.
        epoch: the best epoch.
        seconds: duration.
        problem: why it failed, in one line; "" if it did not.
    """

    trial: Trial
    accuracy: float | None
    epoch: int
    seconds: float
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Score:
    """The results of one point over its seeds.

    Attributes:
        point: the assignments.
        accuracies: top-1 of each seed that did not fail.
        failed: number of seeds that failed.
    """

    point: Point
    accuracies: tuple[float, ...]
    failed: int

    @property
    def mean(self) -> float:
        """Mean top-1 over the seeds; -1 if all of them failed, or one did."""
        return -1.0 if self.failed or not self.accuracies else statistics.mean(self.accuracies)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds; None for less than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


def make_trials(
    recipe: Recipe, points: Sequence[Point], seeds: Sequence[int], root: str, data: str = ""
) -> list[Trial]:
    """Returns one trial for each point and seed.

    The folder of a trial is named by its recipe and its images, so that another grid reuses what is
    finished.

    Args:
        recipe: what the points change.
        points: the assignments of each trial.
        seeds: the seeds of each point.
        root: the folder of all trials.
        data: the state of the images; trials of another one are not reused.

    Raises:
        ValueError: an assignment does not fit the recipe.
    """
    trials = []
    for point in points:
        for seed in seeds:
            changed = recipe.override([*point, f"{SEED}={seed}"])
            folder = os.path.join(root, "trials", _name(point, changed, data))
            trials.append(Trial(len(trials) + 1, point, seed, folder, changed))
    return trials


def run(
    trials: Sequence[Trial],
    data: str,
    *,
    strategy: str = "auto",
    parallel: int = 1,
    finished: Callable[[Result], None] = lambda result: None,
    verbose: bool = True,
) -> list[Result]:
    """Trains all trials on the data of a folder; those that are finished are not repeated.

    After Ctrl-C or SIGTERM, the trials that run finish their step and save; a second signal ends
    them at once.

    Args:
        trials: what to train.
        data: a folder of prepared data: `dataset.json` and the splits. No other process may train
            the same trials.
        strategy: a name that `distribution.create_strategy` knows.
        parallel: number of trials at a time. With more than one, each sees one GPU alone.
        finished: called with each result, in the order in which they arrive.
        verbose: whether a trial that is alone shows its progress.

    Returns:
        The results in the order of the trials.

    Raises:
        KeyboardInterrupt: after Ctrl-C; after SIGTERM, a TrainingStopped.
    """
    devices, processes = _devices(parallel), _Processes()

    def one(trial: Trial) -> Result:
        result = read_result(trial)
        if result is None:
            with devices() as device:
                arguments = (trial, data, strategy, device, verbose and parallel == 1)
                result = _run_apart(processes, *arguments)
        else:  # what a kill after the result has left
            storage.remove_folder(os.path.join(trial.folder, _CHECKPOINTS))
        if not processes.are_stopped:
            finished(result)
        return result

    with ThreadPoolExecutor(parallel) as pool:
        futures = [pool.submit(one, trial) for trial in trials]
        try:
            with interruption.sigterm_raises():
                return [future.result() for future in futures]
        except BaseException as error:
            for future in futures:  # those that wait
                future.cancel()
            if isinstance(error, KeyboardInterrupt):
                processes.stop(futures)
            raise


class _Processes:
    """The processes of the trials that run at a time.

    Attributes:
        are_stopped: whether a signal has stopped the search.
    """

    def __init__(self):
        self.are_stopped = False
        self._running, self._lock = set(), threading.Lock()

    def run(self, process: multiprocessing.Process) -> None:
        """Starts a process and waits for its end; does nothing after `stop`."""
        with self._lock:
            if self.are_stopped:
                return
            process.start()
            self._running.add(process)
        process.join()
        with self._lock:
            self._running.remove(process)

    def stop(self, futures: Sequence[Future]) -> None:
        """Lets all processes save and end; after a second signal they end at once.

        Args:
            futures: those of the threads that wait for the processes.
        """
        self._end(multiprocessing.Process.terminate)
        reporting.write(
            sys.stderr,
            "\nstopping: what is trained finishes its step and saves; a second Ctrl-C ends it at "
            "once\n",
        )
        with contextlib.suppress(KeyboardInterrupt):
            wait(futures, _PATIENCE_SECONDS)
        self._end(multiprocessing.Process.kill)

    def _end(self, end: Callable[[multiprocessing.Process], None]) -> None:
        with self._lock:
            self.are_stopped = True
            for process in self._running:
                end(process)


def count_gpus() -> int:
    """Returns the number of NVIDIA GPUs, at least 1, for `parallel`.

    It asks without TensorFlow, which would take memory of each. Those that CUDA_VISIBLE_DEVICES
    hides do not count.
    """
    visible = _visible_gpus()
    if visible is not None:
        return max(1, len(visible))
    program = shutil.which("nvidia-smi")
    if not program:
        return 1
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False).stdout
    return max(1, listed.count("GPU "))


def scores(results: Sequence[Result]) -> list[Score]:
    """Returns the score of each point, the best first; of equal ones, the first that was tried."""
    by_point: dict[Point, list[Result]] = {}
    for result in results:
        by_point.setdefault(result.trial.point, []).append(result)
    found = [
        Score(
            point,
            tuple(r.accuracy for r in group if r.accuracy is not None),
            sum(r.accuracy is None for r in group),
        )
        for point, group in by_point.items()
    ]
    return sorted(found, key=lambda score: -score.mean)


def write_results(recipe: Recipe, results: Sequence[Result], root: str) -> str | None:
    """Writes `results.csv`, and `best_recipe.json` if a point did not fail.

    Returns:
        The path of the recipe, or None.
    """
    fields = list(dict.fromkeys(_field(a) for result in results for a in result.trial.point))
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow([*fields, SEED, "accuracy", "epoch", "seconds", "problem", "folder"])
    for result in results:
        values = dict(assignment.split("=", 1) for assignment in result.trial.point)
        accuracy = "" if result.accuracy is None else result.accuracy
        row = [*(values.get(field, "") for field in fields), result.trial.seed, accuracy]
        row += [result.epoch, round(result.seconds, 1), result.problem, result.trial.folder]
        writer.writerow(row)
    storage.write_text(os.path.join(root, RESULTS), rows.getvalue())
    best = scores(results)[0]
    if best.mean < 0:
        return None
    path = os.path.join(root, BEST_RECIPE)
    storage.write_text(path, recipe.override(best.point).to_json())
    return path


def read_result(trial: Trial) -> Result | None:
    """Returns what an earlier run of the same trial has reached; None if it did not finish."""
    path = os.path.join(trial.folder, _RESULT)
    if not storage.exists(path):
        return None
    return Result(trial, **json.loads(storage.read_text(path)))


def train_trial(trial: Trial, data: str, strategy: str, verbose: bool) -> None:
    """Trains one trial and writes its result; resumes from its checkpoints.

    Args:
        trial: what to train.
        data: the folder of prepared data.
        strategy: see `run`.
        verbose: whether to show the progress.
    """
    from mixer_tf.datasets.info import DatasetInfo
    from mixer_tf.training import trainer
    from mixer_tf.training.callbacks import TrainingDivergedError
    from mixer_tf.training.input.split import open_splits

    start = time.monotonic()
    splits = open_splits(data, DatasetInfo.read(data))
    try:
        fitted = trainer.fit(
            trial.recipe,
            splits[TRAIN],
            splits.get(EVAL),
            strategy=strategy,
            checkpoint_dir=os.path.join(trial.folder, _CHECKPOINTS),
            log_dir=os.path.join(trial.folder, "logs"),
            verbose=verbose,
        )
    except TrainingDivergedError as error:
        _write_result(trial, None, 0, time.monotonic() - start, str(error).partition("\n")[0])
        storage.remove_folder(os.path.join(trial.folder, _CHECKPOINTS))
        return
    _write_result(trial, fitted.accuracy, fitted.epoch, time.monotonic() - start)
    fitted.discard_checkpoints()


def _visible_gpus() -> list[str] | None:
    """Returns the names of the GPUs that CUDA_VISIBLE_DEVICES lists; None if it is not set."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return None
    names = (name.strip() for name in listed.split(","))
    return list(itertools.takewhile(lambda name: name and name != "-1", names))  # as CUDA does


def _devices(parallel: int) -> Callable[[], contextlib.AbstractContextManager[str | None]]:
    """Returns a function that lends the name of one of `parallel` GPUs; None where there is one."""
    if parallel == 1:
        return lambda: contextlib.nullcontext(None)
    visible = _visible_gpus() or [str(number) for number in range(parallel)]
    free = [visible[number % len(visible)] for number in range(parallel)][::-1]

    @contextlib.contextmanager
    def lend() -> Iterator[str]:
        device = free.pop()
        try:
            yield device
        finally:
            free.append(device)

    return lend


def _run_apart(
    processes: _Processes,
    trial: Trial,
    data: str,
    strategy: str,
    device: str | None,
    verbose: bool,
) -> Result:
    """Trains in a process of its own, whose end gives all memory back."""
    storage.make_folder(trial.folder)
    start = time.monotonic()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_child, args=(trial, data, strategy, device, verbose))
    processes.run(process)
    result = read_result(trial)
    if result is not None:
        return result
    problem = f"the process ended with exit code {process.exitcode}{_last_words(trial)}"
    return Result(trial, None, 0, time.monotonic() - start, problem)


def _last_words(trial: Trial) -> str:
    """The last line of a trial's output, such as ": ValueError: …; see FILE"."""
    path = os.path.join(trial.folder, _OUTPUT)
    if storage.is_remote(path) or not os.path.exists(path):
        return "; see its output above"
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    return f": {lines[-1]}; see {path}" if lines else f"; see {path}"


def _child(trial: Trial, data: str, strategy: str, device: str | None, verbose: bool) -> None:
    from mixer_tf import console

    _leave_the_terminal()
    _end_with_parent()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    if not (verbose and sys.stdout.isatty()) and not storage.is_remote(trial.folder):
        _redirect(os.path.join(trial.folder, _OUTPUT))
    console.silence_libraries()
    try:
        train_trial(trial, data, strategy, verbose)
    except KeyboardInterrupt as stop:
        reporting.write(sys.stderr, f"\n{stop}\n")
        sys.exit(_STOPPED)


def _leave_the_terminal() -> None:
    """Lets Ctrl-C reach the parent alone: with the signal that it then sends, it would be two."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # the progress is still shown


def _end_with_parent() -> None:
    """Ends this process when its parent was killed: the next search trains the same trial."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(_STOPPED)

    threading.Thread(target=wait, daemon=True).start()


def _redirect(path: str) -> None:
    """Sends everything that the process prints to a file."""
    with open(path, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())


def _write_result(
    trial: Trial, accuracy: float | None, epoch: int, seconds: float, problem: str = ""
) -> None:
    values = {"accuracy": accuracy, "epoch": epoch, "seconds": seconds, "problem": problem}
    storage.write_text(os.path.join(trial.folder, _RESULT), json.dumps(values, indent=2))


def _name(point: Point, recipe: Recipe, data: str) -> str:
    """Such as "learning_rate=0.01,seed=0-1f3a90": readable, different for other recipes or data."""
    parts = [assignment.partition(".")[2] for assignment in point]
    text = re.sub(r"[^\w=.,+-]", "_", ",".join([*parts, f"seed={recipe.training.seed}"]))
    digest = hashlib.sha256((recipe.to_json() + data).encode()).hexdigest()
    return f"{text[:_MAX_NAME]}-{digest[:6]}"


def _field(assignment: str) -> str:
    return assignment.partition("=")[0]
