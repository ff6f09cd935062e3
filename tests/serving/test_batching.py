# SPDX-License-Identifier: Apache-2.0
"""Batching: the file against TensorFlow Serving's own message, and the queue by itself."""

import pathlib
import threading
import time
from concurrent import futures

import numpy as np
import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from mixer_tf.serving.batching_parameters import BatchingParameters
from mixer_tf.serving.server.batching import Batcher
from mixer_tf.serving.statuses import ServingError

DEPLOYED = pathlib.Path(__file__).parents[2] / "deploy" / "batching_parameters.txt"
# name, number and wrapper of the fields in session_bundle_config.proto
FIELDS = [
    ("max_batch_size", 1, "Int64Value"),
    ("batch_timeout_micros", 2, "Int64Value"),
    ("max_enqueued_batches", 3, "Int64Value"),
    ("num_batch_threads", 4, "Int64Value"),
    ("thread_pool_name", 5, "StringValue"),
    ("enable_large_batch_splitting", 8, "BoolValue"),
    ("max_execution_batch_size", 9, "Int64Value"),
]


@pytest.fixture(scope="module")
def message_class():
    """TensorFlow Serving's message, whose module is not published."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto",
        package="t",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, number, kind in FIELDS:
        message.field.add(
            name=name, number=number, label=1, type=11, type_name=f".google.protobuf.{kind}"
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    found = pool.FindMessageTypeByName("t.BatchingParameters")
    return message_factory.MessageFactory(pool).GetPrototype(found)


def test_the_file_is_read_by_the_original_message(message_class):
    parameters = BatchingParameters(64, 500, 3, 7, True, 16)
    found = text_format.Parse(parameters.to_text("two\nlines"), message_class())
    for field in ("max_batch_size", "batch_timeout_micros", "max_execution_batch_size"):
        assert getattr(found, field).value == getattr(parameters, field)
    assert found.enable_large_batch_splitting.value is True
    assert BatchingParameters.from_text(parameters.to_text("a comment")) == parameters


def test_what_the_original_message_prints_is_read(message_class):
    given = text_format.Parse(DEPLOYED.read_text(), message_class())
    found = BatchingParameters.from_text(text_format.MessageToString(given))
    assert found == BatchingParameters.from_text(DEPLOYED.read_text())
    assert found.largest_batch == given.max_execution_batch_size.value


def test_missing_fields_are_those_of_tensorflow_serving():
    found = BatchingParameters.from_text("max_batch_size { value: 8 }")
    assert found.largest_batch == 8 and not found.enable_large_batch_splitting


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_sise { value: 8 }", "unknown batching parameter.*mean max_batch_size?"),
        ("max_batch_size { value: many }", "must be of type int; got 'many'"),
        ("max_batch_size 8", "must be like max_batch_size { value: 32 }; got 'max_batch_size 8'"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be at least 1"),
        (
            "max_batch_size { value: 8 } max_execution_batch_size { value: 9 }",
            "must be at most max_batch_size; got 9 and 8",
        ),
    ],
)
def test_wrong_parameters_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        BatchingParameters.from_text(text)


def test_calls_of_one_key_are_joined_up_to_the_limit_and_split_again():
    parameters = BatchingParameters(
        batch_timeout_micros=300_000, num_batch_threads=1, max_execution_batch_size=4
    )
    batcher, sizes = Batcher(parameters), []

    def double(inputs):
        sizes.append(len(inputs["x"]))
        return {"y": 2 * inputs["x"]}

    def call(number):
        value = np.full([1 + number % 2, 3], number)
        return batcher.run(number % 3, {"x": value}, len(value), double)["y"]

    with futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(call, range(12)))
    batcher.close()
    for number, answer in enumerate(answers):
        np.testing.assert_array_equal(answer, np.full([1 + number % 2, 3], 2 * number))
    assert max(sizes) <= 4 and sum(sizes) == 18 and len(sizes) < 12


def test_limits_and_closing():
    batcher = Batcher(BatchingParameters(2, 0, 1, 1, True, 2))
    with pytest.raises(ServingError, match="Task size 3 is larger than maximum input batch size 2"):
        batcher.run("k", {"x": np.zeros(3)}, 3, dict)
    started, release = threading.Event(), threading.Event()

    def wait(inputs):
        started.set()
        release.wait(30)
        return inputs

    with futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.run, "k", {"x": np.zeros(2)}, 2, wait)
        started.wait(30)
        second = pool.submit(batcher.run, "k", {"x": np.zeros(2)}, 2, wait)
        while not batcher._waiting:
            pass
        with pytest.raises(ServingError, match="queue .* is full") as caught:
            batcher.run("k", {"x": np.zeros(1)}, 1, wait)
        assert caught.value.code == "UNAVAILABLE"
        release.set()
        assert len(first.result()["x"]) == len(second.result()["x"]) == 2
    batcher.close()
    with pytest.raises(ServingError, match="is full"):
        batcher.run("k", {"x": np.zeros(1)}, 1, wait)


def test_outputs_without_rows_are_computed_call_by_call():
    batcher = Batcher(BatchingParameters(batch_timeout_micros=100_000, num_batch_threads=1))
    with futures.ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(batcher.run, "k", {"x": np.ones(n)}, n, lambda i: {"sum": i["x"].sum()})
            for n in (1, 2)
        ]
        assert [call.result()["sum"] for call in calls] == [1, 2]
    batcher.close()


def test_inputs_of_different_lengths_are_not_joined():
    batcher = Batcher(BatchingParameters(batch_timeout_micros=300_000, num_batch_threads=1))
    calls = {"a": (2, 3), "b": (2, 2), "c": (3, 2)}  # as many rows of each input in all
    with futures.ThreadPoolExecutor(3) as pool:
        waiting = {}
        for value, (name, (x, y)) in enumerate(calls.items(), 1):
            inputs = {"x": np.full(x, value), "y": np.full(y, value)}
            waiting[name] = pool.submit(
                batcher.run, "k", inputs, x, lambda given: {"sum": 10 * given["x"] + given["y"]}
            )
            time.sleep(0.05)
    assert waiting["b"].result()["sum"].tolist() == [22, 22]
    for name in "ac":
        with pytest.raises(ValueError):
            waiting[name].result()
    batcher.close()


def test_fields_that_change_nothing_are_read_over():
    text = (
        'thread_pool_name { value: "my pool" }\nallowed_batch_sizes: [4, 8]\n'
        "max_batch_size { value: 8 }"
    )
    expected = BatchingParameters.from_text("max_batch_size { value: 8 }")
    assert BatchingParameters.from_text(text) == expected
