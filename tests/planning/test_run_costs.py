# SPDX-License-Identifier: Apache-2.0
"""Core-days of a training from its logs."""

import pytest
import tensorflow as tf

from mixer_tf.planning import run_costs


def write_log(path, begin: float, end: float, accuracies) -> None:
    """Writes an event file as TensorFlow does; `accuracies` are spread between begin and end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:

        def write(time, **fields):
            event = tf.compat.v1.Event(wall_time=time, **fields)
            writer.write(event.SerializeToString())

        write(begin - 1000, file_version="brain.Event:2")
        write(begin, session_log=tf.compat.v1.SessionLog())
        for accuracy in accuracies:
            value = tf.compat.v1.Summary.Value(
                tag="eval/top_1", tensor=tf.make_tensor_proto(accuracy)
            )
            write((begin + end) / 2, summary=tf.compat.v1.Summary(value=[value]))
        write(end, summary=tf.compat.v1.Summary())


def test_the_time_between_two_runs_does_not_count(tmp_path):
    run = tmp_path / "logs [1]" / "digits-20261126"
    write_log(run / "events.out.tfevents.1.a.v2", 5000, 5100, [0.5, 0.75])
    write_log(run / "events.out.tfevents.2.a.v2", 9000, 9050, [0.7])
    found = run_costs.read_logs(str(tmp_path / "logs [1]"))
    assert found == run_costs.Logs(150, 0.75, None)


def test_the_authors_training_from_logs(tmp_path):
    """2 h 11 min on 128 cores are 11.6 core-days."""
    write_log(tmp_path / "events.out.tfevents.1.a.v2", 0, (2 * 60 + 11) * 60, [])
    found = run_costs.read_logs(str(tmp_path))
    assert run_costs.devices.core_days(found.seconds, 128) == pytest.approx(11.6, abs=0.05)
    assert found.accuracy is None


def test_a_log_that_a_kill_has_cut(tmp_path):
    path = tmp_path / "events.out.tfevents.1.a.v2"
    write_log(path, 5000, 5100, [0.5])
    path.write_bytes(path.read_bytes()[:-1])
    assert run_costs.read_logs(str(tmp_path)) == run_costs.Logs(50, 0.5, None)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(ValueError, match="serving/1 and timing.json"):
        run_costs.read(str(tmp_path))
