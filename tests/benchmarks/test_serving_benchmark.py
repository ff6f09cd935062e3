# SPDX-License-Identifier: Apache-2.0
"""`mixer bench serving`: the measurement against a server of known speed, and the choice."""

import dataclasses
import importlib
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from click.testing import CliRunner

from mixer_tf.benchmarks import batching, load
from mixer_tf.benchmarks.limits import Limits
from mixer_tf.benchmarks.load import Measurement
from mixer_tf.cli import main
from mixer_tf.serving.batching_parameters import BatchingParameters
from mixer_tf.serving.statuses import ServingError

# `mixer_tf.cli.bench` as an attribute is the command.
bench = importlib.import_module("mixer_tf.cli.bench")
_SECONDS = 0.05


class Sleeping:
    """A client of a server that takes 0.05 s for a request, and many at the same time."""

    def __init__(self):
        self.sizes = set()

    def classify(self, encoded):
        time.sleep(_SECONDS)
        self.sizes.add(len(encoded))


@pytest.mark.parametrize(("concurrency", "batch_size"), [(1, 1), (4, 3)])
def test_rate_and_latency_are_those_of_the_server(concurrency, batch_size):
    client = Sleeping()
    found = load.measure(client, [b"a", b"b"], batch_size, concurrency, 0.8)
    assert client.sizes == {batch_size}
    # Sleeping takes longer on a busy machine, never shorter.
    assert 1 <= found.requests_per_second <= 1.1 * concurrency / _SECONDS
    assert found.images_per_second == pytest.approx(batch_size * found.requests_per_second)
    assert found.p99 >= found.p50 >= _SECONDS
    # Little's law: rate x latency is the number of clients.
    assert 0.7 * concurrency <= found.requests_per_second * found.p50 <= 1.2 * concurrency


class OneAtATime:
    """A client of a server that answers one request after the other, in 0.05 s each."""

    def __init__(self):
        self.answered, self._queue = [], ThreadPoolExecutor(1)

    def classify(self, encoded):
        self._queue.submit(self._answer).result()

    def _answer(self):
        time.sleep(_SECONDS)
        self.answered.append(time.monotonic())


def test_requests_that_take_longer_than_the_measurement():
    """With 12 clients each waits for 0.6 s; the rate is the server's, not that of whole answers."""
    client = OneAtATime()
    found = load.measure(client, [b"a"], 1, 12, 0.2)
    times = client.answered
    assert found.requests_per_second == pytest.approx(len(times) / (times[-1] - times[0]), rel=0.25)


def test_a_refused_request_ends_the_measurement():
    class Refusing:
        def classify(self, encoded):
            raise ServingError("UNAVAILABLE", "no")

    with pytest.raises(ServingError, match="no"):
        load.measure(Refusing(), [b"a"], 1, 3, 5)


def test_the_limit_of_both_is_that_of_one_after_the_other():
    limits = Limits(decode=100, forward={1: 300, 8: 900})
    assert limits.both(1) == pytest.approx(75) and limits.both(8) == pytest.approx(90)


@pytest.fixture
def loads(monkeypatch):
    """Replaces the measurements by a formula: large requests are faster with one thread."""
    found = []

    def measure(serve, images, loads, seconds, parameters):
        found.append(loads)
        slow = 0.5 if parameters.batch_timeout_micros else 1.0
        p99 = {4: 0.1, 16: 0.3, 32: 0.4}[parameters.max_execution_batch_size]
        threads = parameters.num_batch_threads
        rates = [100 * slow * (threads if size == 1 else threads**-2) for size, _ in loads]
        return tuple(
            Measurement(size, clients, rate / size, p99 / 2, p99)
            for rate, (size, clients) in zip(rates, loads, strict=True)
        )

    monkeypatch.setattr(batching, "_try", measure)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3, 7})
    return found


def test_the_best_is_the_fastest_and_of_equals_the_one_with_the_lower_latency(loads):
    tried = []
    best = batching.find_best("model", [], 1, 1, tried.append)
    assert best.parameters == BatchingParameters(max_execution_batch_size=4, num_batch_threads=2)
    assert best.images_per_second == pytest.approx(200) and len(tried) == 6
    assert loads[0] == [(1, 32)]  # twice the largest batch
    text = best.parameters.to_text(bench._comment(best))
    assert BatchingParameters.from_text(text) == best.parameters and "200.0 images/s" in text
    assert "with `mixer serve` on 2 cores" in text


def test_large_requests_count_as_much_as_those_of_one_image(loads):
    best = batching.find_best("model", [], 10, 1, lambda trial: None)
    assert best.parameters == BatchingParameters(max_execution_batch_size=4, num_batch_threads=1)
    assert best.images_per_second == pytest.approx(100)
    assert loads[0] == [(1, 32), (10, 4)]


@pytest.mark.parametrize(("request_size", "limit"), [(1024, 1024), (2000, 2000)])
def test_the_largest_request_is_not_over_the_limit_of_the_server(loads, request_size, limit):
    best = batching.find_best("model", [], request_size, 1, lambda trial: None)
    assert best.parameters.max_batch_size == limit


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--server=localhost:1", "--output=a.txt"], 2, "--output has no effect with --server"),
        (["--output=none/a.txt"], 1, "--output must be in a folder that exists; got none/a.txt"),
        ([], 1, "batching_parameters.txt exists already; name a file with --output."),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_measurement(
    tmp_path, monkeypatch, words, code, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batching_parameters.txt").write_text("mine")
    result = CliRunner().invoke(main, ["bench", "serving", "model", *words])
    assert result.exit_code == code and message in result.output


def test_the_photographs_are_of_the_size_of_photographs():
    from mixer_tf.benchmarks.limits import photographs
    from mixer_tf.images import read_header

    for image in photographs(2):
        header = read_header(image)
        assert (header.format, header.width, header.height) == ("JPEG", 640, 480)
        assert 30_000 < len(image) < 300_000
    assert np.all(photographs(1) == photographs(1))


@pytest.mark.slow
def test_the_command_measures_and_writes_the_parameters(tmp_path):
    import harness

    from mixer_tf import factory
    from mixer_tf.export import saved_model

    recipe = harness.tiny_recipe()
    model = harness.randomize(factory.from_recipe(recipe, 3))
    saved_model.export_saved_model(model, recipe, list("abc"), str(tmp_path / "m" / "1"))
    words = ["bench", "serving", tmp_path / "m", "--seconds=0.2", "--batch-sizes=1,4"]
    words += ["--concurrency=2", f"--output={tmp_path / 'batching.txt'}", "--json"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [each["batch_size"] for each in found["measurements"]] == [1, 4]
    assert all(each["of_limit"] > 0 for each in found["measurements"])
    best = BatchingParameters.from_text((tmp_path / "batching.txt").read_text())
    assert found["batching"]["best"] == dataclasses.asdict(best)
    assert len(found["batching"]["tried"]) >= 5
