# SPDX-License-Identifier: Apache-2.0
"""What each step gets on a cluster, and the messages for what it cannot get."""

import pytest

from pipeline.resources import make_resources, parse_cpu, parse_memory

STEPS = ("ImageExampleGen", "Trainer", "Pusher")
BEAM = ("ImageExampleGen",)


def make(*assignments, **arguments):
    return make_resources(STEPS, BEAM, "registry/image:1", assignments=assignments, **arguments)


def test_trainer_has_an_image_of_its_own():
    resources = make(train_image="registry/gpu:1")
    assert [resources[step].image for step in STEPS] == [
        "registry/image:1",
        "registry/gpu:1",
        "registry/image:1",
    ]


def test_assignments_change_one_step_and_the_last_one_wins():
    resources = make(
        "Trainer.cpu=16",
        "Trainer.cpu=32",
        "Trainer.accelerator=nvidia.com/gpu:4",
        "Trainer.node_selector=cloud.google.com/gke-accelerator=nvidia-l4,pool=gpu",
        "Trainer.timeout=none",
        "ImageExampleGen.beam=--runner=FlinkRunner --parallelism=8",
    )
    trainer = resources["Trainer"]
    assert (trainer.cpu, trainer.accelerator, trainer.accelerator_count) == (
        "32",
        "nvidia.com/gpu",
        4,
    )
    assert trainer.node_selector == {
        "cloud.google.com/gke-accelerator": "nvidia-l4",
        "pool": "gpu",
    }
    assert trainer.timeout is None
    assert resources["ImageExampleGen"].beam == ("--runner=FlinkRunner", "--parallelism=8")
    assert resources["Pusher"] == make()["Pusher"]


def test_the_tuner_gets_what_the_trainer_gets_unless_it_is_told_otherwise():
    def resources(*assignments):
        steps = ("ImageExampleGen", "Tuner", "Trainer", "Pusher")
        return make_resources(steps, BEAM, "i:1", "i:gpu", assignments)

    assert resources()["Tuner"] == resources()["Trainer"]
    given = ("Trainer.accelerator=nvidia.com/gpu:4", "Trainer.memory=64Gi", "Trainer.cpu=16")
    assert resources(*given)["Tuner"] == resources(*given)["Trainer"]
    own = resources("Tuner.cpu=2", "Tuner.accelerator=nvidia.com/gpu:8", *given)
    tuner = own["Tuner"]
    assert (tuner.cpu, tuner.memory, tuner.accelerator_count) == ("2", "64Gi", 8)
    assert tuner.image == "i:gpu" and own["Trainer"].cpu == "16"
    assert resources("Tuner.accelerator=none", *given)["Tuner"].accelerator is None


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("Trainer.cpu", "--step must be STEP.FIELD=VALUE; got 'Trainer.cpu'"),
        ("Trainr.cpu=1", "there is no step 'Trainr'. Did you mean Trainer?"),
        ("Trainer.memry=1Gi", "a step has no 'memry'. Did you mean memory?"),
        ("Trainer.memory=12", "memory must be an amount such as 8Gi or 8G; got '12'"),
        ("Trainer.memory=8Q", "memory must be an amount"),
        ("Trainer.cpu=0", "cpu must be a number of cores"),
        ("Trainer.cpu=many", "cpu must be a number of cores"),
        ("Trainer.retries=-1", "Trainer.retries: must be an integer; got '-1'"),
        ("Trainer.timeout=0", "timeout must be 1 second or more"),
        ("Trainer.accelerator=nvidia.com/gpu:0", "accelerator_count must be 1 or more"),
        ("Trainer.node_selector=gpu", "labels must be NAME=VALUE"),
        ("Trainer.cache=maybe", "must be true or false"),
        ("Trainer.beam=--runner=X", "only a step that runs on Apache Beam takes beam options"),
        ("Pusher.cache=true", "Pusher must not be cached"),
    ],
)
def test_a_bad_assignment_is_one_clear_message(assignment, message):
    with pytest.raises(ValueError) as error:
        make(assignment)
    assert message in str(error.value)


@pytest.mark.parametrize(("text", "cores"), [("4", 4), ("0.5", 0.5), ("500m", 0.5), ("1500m", 1.5)])
def test_cores_as_kubernetes_writes_them(text, cores):
    assert parse_cpu(text) == cores


@pytest.mark.parametrize(
    ("text", "size"),
    [("8Gi", 8 * 2**30), ("8G", 8e9), ("512Mi", 2**29), ("1.5Gi", 1.5 * 2**30), ("2000000", 2e6)],
)
def test_memory_as_kubernetes_writes_it(text, size):
    assert parse_memory(text) == size
