# SPDX-License-Identifier: Apache-2.0
import os
import signal
import threading

import pytest

from mixer_tf.training.interruption import (
    StopSignals,
    TrainingStopped,
    exits_after_sigterm,
    sigterm_raises,
)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_remembered_and_the_second_one_raises(number, code):
    before = signal.getsignal(number)
    with pytest.raises(TrainingStopped) as caught, StopSignals() as signals:
        signals.can_wait = True
        os.kill(os.getpid(), number)
        assert signals.received == number
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


def test_with_nothing_to_save_the_first_signal_raises():
    with pytest.raises(TrainingStopped, match="Stopped by SIGTERM; the same"), StopSignals():
        os.kill(os.getpid(), signal.SIGTERM)


def test_other_threads_leave_the_handlers_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def enter():
        with StopSignals(), sigterm_raises():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


def test_sigterm_raises_within_the_block_only():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingStopped) as caught, sigterm_raises():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.exit_code == 143 and signal.getsignal(signal.SIGTERM) is before


def test_a_step_of_a_pipeline_exits_with_the_code_of_sigterm(capsys):
    with pytest.raises(SystemExit) as caught, exits_after_sigterm():
        raise TrainingStopped(signal.SIGTERM)
    assert caught.value.code == 143 and "Stopped by SIGTERM; the same" in capsys.readouterr().err
    with pytest.raises(TrainingStopped), exits_after_sigterm():
        raise TrainingStopped(signal.SIGINT)


def test_the_message_says_how_far_it_came():
    stopped = TrainingStopped(signal.SIGINT, " after step 3 of 9, which is saved")
    assert str(stopped) == (
        "Stopped after step 3 of 9, which is saved; the same command resumes the training."
    )
    assert isinstance(stopped, KeyboardInterrupt)
