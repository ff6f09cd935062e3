# SPDX-License-Identifier: Apache-2.0
"""The logs of a real training, as TensorBoard and its plugins read them, and its pages."""

import dataclasses
import gzip
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import harness
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
)
from webdriver import needs_browser, open_browser

from mixer_tf.training import trainer
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import open_splits
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.visualization.confusion_plot import plot_confusion

RUNS = ("first", "second")


@dataclasses.dataclass(frozen=True)
class Logged:
    """Two trainings with logs side by side.

    Attributes:
        folder: the folder of both runs.
        fitted: the results by run.
    """

    folder: pathlib.Path
    fitted: dict[str, trainer.Fitted]

    def events(self, run: str = RUNS[0]) -> EventAccumulator:
        folder = str(self.folder / run)
        return EventAccumulator(folder, size_guidance={"tensors": 0}).Reload()


@pytest.fixture(scope="module")
def logged(recipe, dataset, tmp_path_factory) -> Logged:
    folder = tmp_path_factory.mktemp("logged")
    splits = open_splits(dataset.folder, dataset.info)
    recipes = recipe, recipe.override(["optimizer.learning_rate=0.02", "data.mixup=0.3"])
    options = {"strategy": "default", "verbose": False}
    fitted = {}
    for run, changed in zip(RUNS, recipes, strict=True):
        profile = ProfiledSteps(2, 3) if run == RUNS[0] else None
        logs = {"log_dir": str(folder / run), "profile": profile}
        fitted[run] = trainer.fit(changed, splits["train"], splits["eval"], **logs, **options)
    return Logged(folder, fitted)


def read_image(events: EventAccumulator, tag: str, index: int = -1) -> np.ndarray:
    png = events.Tensors(tag)[index].tensor_proto.string_val[2]
    return tf.io.decode_png(png, channels=3).numpy()


def test_one_run_has_all_tags_in_groups(logged):
    scalars = {
        *("train/loss", "train/top_1", "train/gradient_norm", "train/learning_rate"),
        *("train/images_per_second", "train/input_wait"),
        *("eval/loss", "eval/top_1", "weights/norm"),
    }
    images = {"train/images", "eval/confusion", "weights/stem"}
    images |= {f"weights/token_mixing_{block}" for block in range(2)}
    hparams = {"_hparams_/session_start_info", "_hparams_/session_end_info"}
    assert {*logged.events().Tags()["tensors"]} == scalars | images | hparams


def test_the_x_axis_is_the_number_of_steps(logged):
    events = logged.events()
    for tag in ("train/loss", "eval/loss", "weights/norm", "eval/confusion", "weights/stem"):
        assert [event.step for event in events.Tensors(tag)] == [4, 8], tag
    assert [event.step for event in events.Tensors("train/images")] == [0]


def test_the_weight_norm_is_that_of_the_trained_weights(logged):
    """Both epochs improve, so that the result has the weights after the last one."""
    fitted = logged.fitted[RUNS[0]]
    last = logged.events().Tensors("weights/norm")[-1 if fitted.epoch == 2 else 0]
    squares = [np.sum(np.square(w.numpy(), dtype=np.float64)) for w in fitted.model.weights]
    assert tf.make_ndarray(last.tensor_proto) == pytest.approx(np.sqrt(sum(squares)), rel=1e-5)


def test_the_confusion_matrix_counts_what_the_model_answers(logged, dataset):
    fitted = logged.fitted[RUNS[0]]
    split = open_splits(dataset.folder, dataset.info)["eval"]
    counts = np.zeros((3, 3))
    for images, labels, weights in batches.evaluation_batches(split, fitted.recipe):
        answers = np.argmax(fitted.model.predict_on_batch(images), axis=-1)
        for label, answer, weight in zip(np.argmax(labels, -1), answers, weights, strict=True):
            counts[label, answer] += float(weight) > 0
    assert counts.sum() == harness.COUNTS["eval"]
    found = read_image(logged.events(), "eval/confusion", fitted.epoch - 1)
    np.testing.assert_array_equal(found, plot_confusion(counts, harness.CLASS_NAMES))


def test_the_augmented_images_are_those_that_the_model_gets(logged, dataset):
    """A grid of 4x4 images, each enlarged to 48 pixels, with 4 pixels of white between them."""
    split = open_splits(dataset.folder, dataset.info)["train"]
    recipe = logged.fitted[RUNS[0]].recipe.override(
        ["training.batch_size=16", "data.shuffle_buffer=1"]
    )
    expected, _ = next(iter(batches.training_batches(split, recipe)))
    plot = read_image(logged.events(), "train/images")
    assert plot.shape == (4 * 52 + 4, 4 * 52 + 4, 3) and plot[:4].min() == 255
    cells = [plot[4 + 52 * row :, 4 + 52 * column :] for row in range(4) for column in range(4)]
    found = [cell[:48:3, :48:3] for cell in cells]
    np.testing.assert_array_equal(found, expected)


def test_the_hparams_plugin_finds_the_recipes_and_the_final_metrics(logged):
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logged.folder)).Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logged.folder))
    context = backend_context.Context(TBContext(data_provider=provider))
    request = RequestContext()
    wanted = api_pb2.GetExperimentRequest()
    experiment = get_experiment.Handler(request, context, "", wanted).run()
    fields = {info.name for info in experiment.hparam_infos}
    assert {"recipe", "optimizer.learning_rate", "training.epochs", "model.hidden_dim"} <= fields
    wanted = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=10)
    wanted.allowed_statuses.extend(api_pb2.Status.values())
    for info in experiment.metric_infos:
        wanted.col_params.add(metric=info.name)
    groups = list_session_groups.Handler(request, context, "", wanted).run().session_groups
    rates = {group.hparams["optimizer.learning_rate"].number_value for group in groups}
    assert rates == {0.01, 0.02}
    for group in groups:
        (session,) = group.sessions
        assert session.status == api_pb2.STATUS_SUCCESS
        metrics = {value.name.tag: value.value for value in session.metric_values}
        last = logged.fitted[session.name].history[-1]
        assert metrics["eval/top_1"] == pytest.approx(last["val_accuracy"])


def test_the_profiled_steps_are_a_trace(logged):
    """The protocol buffer that the profiler plugin reads."""
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    (file,) = logged.folder.rglob("*.xplane.pb")
    assert file.relative_to(logged.folder).match("first/plugins/profile/*/*.xplane.pb")
    space = XSpace.FromString(file.read_bytes())
    steps = {
        stat.int64_value or stat.uint64_value
        for plane in space.planes
        for line in plane.lines
        for event in line.events
        if plane.event_metadata[event.metadata_id].name == "train"
        for stat in event.stats
        if plane.stat_metadata[stat.metadata_id].name == "step_num"
    }
    assert steps == {1, 2}  # Keras counts from 0


def test_the_profiler_plugin_opens_the_trace(logged):
    convert = pytest.importorskip(
        "tensorboard_plugin_profile.convert.raw_to_tool_data",
        reason="needs tensorboard-plugin-profile, of the extra `profiler`",
    )
    (file,) = logged.folder.rglob("*.xplane.pb")
    for tool in ("overview_page^", "input_pipeline_analyzer^"):
        data, _ = convert.xspace_to_tool_data([str(file)], tool, {})
        assert b'"cols"' in bytes(data if isinstance(data, bytes) else data.encode()), tool


@pytest.fixture(scope="module")
def address(logged):
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logged.folder)]
    process = subprocess.Popen(
        [*command, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield next(
            found[0] for line in process.stdout if (found := re.search(r"http://\S+:\d+/", line))
        )
    finally:
        process.terminate()
        process.wait()


# Images in shadow roots, too.
ALL_IMAGES = """(function find(root) {
  const below = [...root.querySelectorAll("*")].filter((node) => node.shadowRoot);
  return [...root.querySelectorAll("img"), ...below.flatMap((node) => find(node.shadowRoot))];
})(document)"""


@pytest.mark.slow
@needs_browser
def test_the_pages_show_groups_images_and_recipes(address, logged):
    with open_browser() as browser:
        browser.open(f"{address}#scalars")
        browser.wait_for_words(*RUNS, "train", "eval", "weights")
        browser.open(f"{address}#images")
        browser.wait_for_words("train/images", "eval/confusion", "weights")
        loaded = "[...%s].filter((image) => image.complete && image.naturalWidth > 200).length"
        browser.wait_until(f"return {loaded % ALL_IMAGES} >= 4")  # two of each run
        browser.open(f"{address}#hparams")
        browser.wait_for_words("optimizer.learning_rate", "eval/top_1")


@pytest.mark.slow
def test_the_page_of_the_profiler_gets_its_data(address):
    """What the page asks for; the page itself loads its charts from www.gstatic.com."""
    pytest.importorskip("tensorboard_plugin_profile", reason="needs the extra `profiler`")

    def ask(path, **query):
        words = urllib.parse.urlencode(query)
        with urllib.request.urlopen(f"{address}data/plugin/profile/{path}?{words}") as answer:
            content = answer.read()
            is_zipped = answer.headers["Content-Encoding"] == "gzip"
            return gzip.decompress(content) if is_zipped else content

    (run,) = json.loads(ask("runs"))
    assert run.startswith(f"{RUNS[0]}/")
    tools = {*json.loads(ask("run_tools", run=run))}
    wanted = {"overview_page^", "input_pipeline_analyzer^", "tensorflow_stats^", "trace_viewer@^"}
    assert wanted <= tools
    for tool in wanted:
        (host,) = json.loads(ask("hosts", run=run, tag=tool))
        assert len(ask("data", run=run, tag=tool, host=host)) > 500, tool
    assert b"bundle.js" in ask("index.html")
