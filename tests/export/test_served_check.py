# SPDX-License-Identifier: Apache-2.0
"""`check_served` on a real export, and on servers that answer otherwise than the trained model."""

import json

import harness
import numpy as np
import pytest
from click.testing import CliRunner

from mixer_tf import factory
from mixer_tf.cli import main
from mixer_tf.export import generated_images, saved_model, served_check
from mixer_tf.export.check import FailedCheck
from mixer_tf.images import check
from mixer_tf.serving import contract
from mixer_tf.serving.client import Client
from mixer_tf.serving.server.servable import Servable

SERVED = {"JPEG", "PNG", "GIF", "BMP"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> str:
    recipe = harness.tiny_recipe().override(["data.crop=resmall_crop"])
    model = harness.randomize(factory.from_recipe(recipe, 6), 0.5)
    path = str(tmp_path_factory.mktemp("export") / "3")
    saved_model.export_saved_model(model, recipe, list("abcdef"), path)
    return path


@pytest.fixture(scope="module")
def checked(exported) -> tuple[served_check.Report, list[int]]:
    """The report of a good export, and the progress that was shown."""
    shown = []
    return served_check.check_served(exported, count=180, progress=shown.append), shown


def test_a_good_export_passes(checked):
    report, shown = checked
    refused = sum(report.refused.values())
    assert report.images + refused == 180 and sum(report.served.values()) == report.images
    assert set(report.differences) == set(contract_signatures())
    assert max(report.differences.values()) < 1e-5
    assert report.differences[contract.SERVING_SIGNATURE] < 1e-6
    assert report.wrong_inputs == 2 * len(served_check.wrong_inputs(b"", 16))
    assert {"TIFF", "PPM"} <= set(report.refused) <= {"TIFF", "PPM", "WebP"}
    assert {"CMYK JPEG", "rotated JPEG", "16-bit PNG", "transparent GIF"} <= set(report.served)
    assert "BMP with a palette" in report.served
    assert shown[:2] == [1, 2] and shown[-1] == report.images
    assert {1, 7, 64} <= set(report.batch_sizes) and report.transports == ["REST", "gRPC"]


@pytest.mark.parametrize(
    ("count", "sizes", "transports"), [(1, [1], ["REST"]), (5, [1, 3], ["REST", "gRPC"])]
)
def test_the_report_has_the_batches_that_were_sent(monkeypatch, count, sizes, transports):
    monkeypatch.setattr(served_check, "_requests", lambda batch: {"pixels": {}})
    monkeypatch.setattr(served_check, "_compare", lambda *_: 0.0)
    clients = [Client(address, "model") for address in ("localhost:1", "grpc://localhost:2")]
    report = served_check.Report()
    served_check._compare_images(clients, iter(range(count)), report, lambda _: None)
    assert (report.batch_sizes, report.transports) == (sizes, transports)


def contract_signatures() -> list[str]:
    return [
        getattr(contract, f"{each}_SIGNATURE")
        for each in ("SERVING", "PIXELS", "FEATURES", "EXAMPLES")
    ]


def test_every_generated_kind_is_accepted_by_training():
    found = dict(generated_images.generate(40))
    assert len(found) >= 17
    for kind, encoded in found.items():
        assert check(encoded), kind
    assert list(generated_images.generate(3)) == list(generated_images.generate(3))


@pytest.mark.parametrize(
    ("signature", "output", "change", "text"),
    [
        ("serving_default", "probabilities", 5e-6, "differs from the trained model's answer by"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                (
                    "pixels",
                    "probabilities",
                    0.1,
                    "pixels in a batch of 1 .* differs from",
                ),
                ("features", "pre_logits", 0.5, "features: pre_logits|features in a batch"),
                ("examples", "probabilities", np.nan, "examples in a batch of 1"),
            ]
        ),
    ],
)
def test_another_answer_fails(exported, monkeypatch, signature, output, change, text):
    right = Servable.predict

    def wrong(self, name, inputs):
        outputs = dict(right(self, name, inputs))
        if name == signature and len(outputs[output]):
            outputs[output] = outputs[output] + np.float32(change)
        return outputs

    monkeypatch.setattr(Servable, "predict", wrong)
    with pytest.raises(FailedCheck, match=text):
        served_check.check_served(exported, count=4)


@pytest.mark.slow
def test_a_model_that_accepts_a_wrong_input_fails(exported, monkeypatch):
    monkeypatch.setattr(
        served_check,
        "wrong_inputs",
        lambda good, side: [
            ("a good image", "serving_default", {"image_bytes": np.array([good], object)})
        ],
    )
    with pytest.raises(FailedCheck, match="serving_default accepts a good image"):
        served_check.check_served(exported, count=2)


@pytest.mark.slow
def test_a_format_that_training_stores_must_be_served(exported, monkeypatch):
    """Only what training converts may be refused: here, the model knows no PNG."""
    right = Servable.predict

    def refuse(self, name, inputs):
        first, *more = inputs.get("image_bytes", [b""])
        if first.startswith(b"\x89PNG") and not more:  # the warm-up sends it beside a JPEG
            raise served_check.ServingError("INVALID_ARGUMENT", "no PNG.")
        return right(self, name, inputs)

    monkeypatch.setattr(Servable, "predict", refuse)
    files = [each for each in generated_images.generate(10) if each[0] == "PNG"]
    with pytest.raises(FailedCheck, match="does not answer for PNG: no PNG"):
        served_check.check_served(exported, files)


@pytest.mark.slow
def test_no_usable_image_is_one_clear_error(exported):
    with pytest.raises(ValueError, match="at least one image must be usable"):
        served_check.check_served(exported, files=[])


def test_the_command_prints_what_was_checked(exported, checked, monkeypatch):
    asked = []
    monkeypatch.setattr(
        served_check, "check_served", lambda *words: asked.append(words[:3]) or checked[0]
    )
    result = CliRunner().invoke(main, ["check", exported, "--images=20"])
    assert result.exit_code == 0, result.output
    assert asked == [(exported, None, 20)]
    assert "stored answers    5 requests in a process without mixer_tf" in result.output
    sizes = ", ".join(map(str, checked[0].batch_sizes))
    assert "served = trained  1" in result.output
    assert f" images, batches of {sizes}, REST and gRPC\n" in result.output
    assert "refused formats   TIFF" in result.output


@pytest.mark.slow
def test_the_command_takes_a_source_and_prints_json(exported, image_folder):
    words = ["check", exported, f"--source=folder:{image_folder}", "--images=10", "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["images"] == 10 and report["served"] == {"PNG": 10}
    assert report["stored"]["reason"] == ""
