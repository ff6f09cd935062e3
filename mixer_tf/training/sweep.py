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
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from mixer_tf import storage
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.training import gpus, interruption, reporting
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.sweep_trials import Result, Trial, read_result, write_result

_OUTPUT = "output.txt"
_CHECKPOINTS = "checkpoints"
_STOPPED = 130
_PATIENCE_SECONDS = 600.0  # in which a trial that is stopped finishes its step and saves


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
    devices, processes = gpus.make_lender(parallel), _Processes()

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
            checkpoints=CheckpointOptions.from_environment(),
            log_dir=os.path.join(trial.folder, "logs"),
            verbose=verbose,
        )
    except TrainingDivergedError as error:
        write_result(trial, None, 0, time.monotonic() - start, str(error).partition("\n")[0])
        storage.remove_folder(os.path.join(trial.folder, _CHECKPOINTS))
        return
    write_result(trial, fitted.accuracy, fitted.epoch, time.monotonic() - start)
    fitted.discard_checkpoints()


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
