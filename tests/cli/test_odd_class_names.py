# SPDX-License-Identifier: Apache-2.0
"""Class names and paths that would break a line or act on the terminal."""

from types import SimpleNamespace

from mixer_tf.cli.predict import _show_text
from mixer_tf.evaluation.classification import LabeledPrediction, Scores
from mixer_tf.evaluation.labeled_predictions import LabeledPredictions
from mixer_tf.evaluation.report import Report

NAMES = ("a\nb", "c\td", "\x1b[31mred", "\u202eleft", "猫")
SHOWN = ("a\\nb", "c\\td", "\\x1b[31mred", "\\u202eleft", "猫")


def test_predict_shows_one_line_per_image(capsys):
    prediction = [SimpleNamespace(class_name=name, probability=0.2) for name in NAMES]
    _show_text("my\nphoto.png", prediction, len(NAMES))
    expected = ", ".join(f"{name} 0.2000" for name in SHOWN)
    assert capsys.readouterr().out == f"my\\nphoto.png  {expected}\n"


def test_evaluate_shows_one_line_per_class():
    scores, predictions = Scores(), LabeledPredictions(num_mistakes=5)
    for name in NAMES:
        prediction = LabeledPrediction(f"{name}.png", name, NAMES[0], 0.9)
        scores.add(prediction)
        predictions.add(prediction)
    predictor = SimpleNamespace(model_dir="/m", class_names=NAMES)
    problems = [("x\ny.png", "empty file")]
    report = Report(predictor, "csv:a", ["test"], scores, predictions, problems, 1.0)
    lines = report.to_text().splitlines()
    table = lines[lines.index("") + 1 :][: 1 + len(NAMES)]
    assert [line.split("  ")[0] for line in table[1:]] == list(SHOWN)
    assert "  x\\ny.png: empty file" in lines
    for name in SHOWN[1:]:
        assert any(f"{name}.png" in line for line in lines)
