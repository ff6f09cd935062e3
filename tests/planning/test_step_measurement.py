# SPDX-License-Identifier: Apache-2.0
"""The measurement of a training's beginning, and what is made of it."""

import dataclasses
import os
import types

import pytest
import tensorflow as tf

from mixer_tf import recipes
from mixer_tf.benchmarks import machine
from mixer_tf.datasets.sources import opening
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.planning import estimate, measurement, sample
from mixer_tf.planning.measurement import Measurement
from mixer_tf.planning.planner import HERE, Planner
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import open_splits
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan


def make_plan(name: str, images: int, eval_images: int, *overrides) -> Plan:
    recipe = recipes.get(name).override(overrides)
    return Plan(recipe, training_length(recipe.training, images), images, eval_images, 10)


def test_seconds_of_a_training_by_hand():
    """2 epochs of 1289 images in batches of 64: 40 steps; 184 images are 3 evaluation batches."""
    plan = make_plan("digits", 1289, 184, "training.epochs=2")
    found = Measurement(
        start=5, step=0.1, evaluation=0.02, epoch=0.3, batch_size=64, matrix_rate=1e9
    )
    assert found.seconds(plan) == pytest.approx(5 + 40 * 0.1 + 2 * (0.3 + 3 * 0.02))


def test_a_small_model_is_measured_with_its_own_batch():
    plan = make_plan("digits", 1289, 184)
    found = measurement.choose_sample(plan, matrix_rate=50e9)
    assert found.batch_size == 64 and found.train == 1024 and found.evaluation == 184
    assert found.wanted == {TRAIN: 1024, EVAL: 184}


def test_a_large_model_is_measured_with_few_images():
    """B/16 has 76 billion operations per image and step; a batch of 4096 would take an hour."""
    plan = make_plan("pretrain_imagenet_b16", 1_281_167, 50_000)
    found = measurement.choose_sample(plan, matrix_rate=1e12)
    assert 1 <= found.batch_size <= 8 and found.train <= 16
    slow = measurement.choose_sample(plan, matrix_rate=1e9)
    assert (slow.batch_size, slow.train, slow.evaluation) == (1, 2, 1)


def test_parts_of_a_batch_stay_equal():
    plan = make_plan("pretrain_imagenet_b16", 1_281_167, 0, "training.accumulation_steps=4")
    found = measurement.choose_sample(plan, matrix_rate=1e12)
    assert found.batch_size % 4 == 0 and found.wanted == {TRAIN: found.train}


def test_images_are_counted_and_sampled(image_folder, tmp_path):
    source = opening.open_source(f"folder:{image_folder}")
    counts = sample.count_images(source)
    assert sum(counts.values()) == 40
    info = sample.write_sample(source, str(tmp_path), {TRAIN: 10, EVAL: 2})
    assert info.examples == {TRAIN: 10, EVAL: 2} and info.class_names == ("cat", "dog")
    assert open_splits(str(tmp_path), info)[TRAIN].num_examples == 10


def test_a_large_split_is_decoded_in_each_epoch(tmp_path):
    """5,000 photographs of 128x192 pixels fit in the cache, a million do not."""
    info = sample.write_generated(str(tmp_path), {TRAIN: 4}, 10)
    split = open_splits(str(tmp_path), info)[TRAIN]
    small, large = (make_plan("photos", images, 0) for images in (5_000, 1_000_000))
    assert measurement._like_the_whole(split, small).num_examples == 4
    whole = measurement._like_the_whole(split, large)
    assert set(whole.files) == set(split.files) and not batches.is_cached(whole, large.recipe)
    assert len(whole.files) < 100_000  # not those of a million images


def test_nothing_to_train_on(bad_folder, tmp_path):
    source = opening.open_source(f"folder:{bad_folder.path}")
    nothing = dataclasses.replace(source, reader=lambda shard: iter(()))
    with pytest.raises(ValueError, match="none of the first ones"):
        sample.write_sample(nothing, str(tmp_path), {TRAIN: 5})


def test_this_machine():
    found = machine.this_machine()
    assert found.cores >= 1 and 0 < found.memory < 1 << 44 and "this machine" in found.title
    assert 1e8 < machine.matrix_rate(seconds=0.1) < 1e16


@pytest.mark.parametrize(
    ("used", "cache", "free"),
    [(90 << 20, 60 << 20, 70 << 20), (90 << 20, 95 << 20, 100 << 20), (120 << 20, 0, 0)],
)
@pytest.mark.parametrize(
    ("folder", "limit", "usage", "line"),
    [
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory/", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_the_page_cache_of_a_container_is_free(
    monkeypatch, folder, limit, usage, line, used, cache, free
):
    """A limit of 100 MiB in a system with 1 GiB; the lines before and after are others."""
    texts = {
        "/proc/meminfo": "MemTotal: 2097152 kB\nMemAvailable: 1048576 kB",
        f"/sys/fs/cgroup/{folder}{limit}": f"{100 << 20}",
        f"/sys/fs/cgroup/{folder}{usage}": f"{used}",
        f"/sys/fs/cgroup/{folder}memory.stat": f"file 7\n{line} {cache}\nx{line} 5",
    }
    monkeypatch.setattr(machine, "_read", lambda path: texts.get(path, ""))
    assert machine.available_memory() == free
    texts[f"/sys/fs/cgroup/{folder}{limit}"] = "max"
    assert machine.available_memory() == 1 << 30


def test_several_steps_of_an_execution_count_as_several(monkeypatch):
    clock = measurement._Clock(10)
    clock.set_model(types.SimpleNamespace(stop_training=False))
    now = iter(range(1000))
    monkeypatch.setattr(measurement.time, "monotonic", lambda: float(next(now)))
    clock.on_epoch_begin(0)
    for batch in (4, 9, 14, 19):
        clock.on_train_batch_begin(batch - 4)
        clock.on_train_batch_end(batch, {"loss": 1.0})
    # An execution ends 2 s after the one before: one reading at its begin, one at its end.
    assert clock.step == pytest.approx(2 / 5)


def test_parts_of_a_batch_stay_equal_with_few_images():
    plan = make_plan("digits", 50, 0, "training.accumulation_steps=4")
    assert measurement.choose_sample(plan, matrix_rate=50e9).batch_size % 4 == 0


def test_several_gpus_share_each_batch():
    """As `mixer train` uses them: each has the weights, and a part of the activations."""
    planner = Planner(recipes.get("photos"))
    planner.set_size(5000, 0, 10)
    found = Measurement(5, 0.1, 0, 0.3, batch_size=64, matrix_rate=4e12, num_devices=4)
    planner.measurement = found
    planner.machine = machine.Machine("this machine (4 x H100)", 4, 10**10)
    here = planner.estimates()[HERE]
    assert (here.num_devices, here.seconds) == (4, found.seconds(planner.plan))
    assert here.memory == estimate.memory(planner.plan, 4) < estimate.memory(planner.plan)
    assert here.largest_batch == 4 * estimate.largest_batch(planner.plan, 10**10)
    assert here.core_days == here.seconds * 4 / 86_400
    planner.measurement = dataclasses.replace(found, num_devices=1)  # 4 cores of a CPU
    here = planner.estimates()[HERE]
    assert (here.num_devices, here.memory) == (4, estimate.memory(planner.plan))


def test_several_gpus_are_measured_together(monkeypatch):
    """The rate of matrix products is that of all GPUs; TensorFlow mirrors the weights."""
    gpus = ["gpu"] * 3
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr("tensorflow.distribute.MirroredStrategy", lambda: "mirrored")
    monkeypatch.setattr(machine, "matrix_rate", lambda precision: 1e12)
    monkeypatch.setattr(machine, "this_machine", lambda: machine.Machine("", len(gpus), 10**10))
    strategies = []

    def fit(*_, strategy, **__):
        strategies.append(strategy)
        raise InterruptedError

    monkeypatch.setattr(measurement.trainer, "fit", fit)
    planner = Planner(recipes.get("photos").override(["training.batch_size=48"]))
    planner.set_size(5000, 0, 10)
    for expected in ("mirrored", tf.distribute.get_strategy()):
        with pytest.raises(InterruptedError):
            planner.measure(None)
        assert strategies.pop() == expected
        chosen = measurement.choose_sample(planner.plan, 1e8, len(gpus))
        assert (chosen.batch_size, chosen.num_devices) == (len(gpus), len(gpus))
        gpus[:] = ["gpu"]
    gpus[:] = ["gpu"] * 5
    with pytest.raises(ValueError, match="got batch_size=48 on 5 devices. Use 45 or 50."):
        planner.measure(None)


def test_only_visible_gpus_are_measured(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *--id=1*) ;; *) echo "H100, 500";; esac\necho "H100, 70000"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["gpu"])
    assert machine._gpus() == [("H100", 70_000 << 20)]
