# SPDX-License-Identifier: Apache-2.0
"""Class names and paths that would break a line or act on the terminal."""

from types import SimpleNamespace

from mixer_tf.cli.predict import _show_text
from mixer_tf.evaluation.classification import ClassMetrics
from mixer_tf.evaluation.report import Report

NAMES = ("a\nb", "c\td", "\x1b[31mred", "\u202eleft", "猫")
SHOWN = ("a\\nb", "c\\td", "\\x1b[31mred", "\\u202eleft", "猫")


def test_predict_shows_one_line_per_image(capsys):
    answer = [SimpleNamespace(class_name=name, probability=0.2) for name in NAMES]
    _show_text("my\nphoto.png", answer, len(NAMES))
    expected = ", ".join(f"{name} 0.2000" for name in SHOWN)
    assert capsys.readouterr().out == f"my\\nphoto.png  {expected}\n"


def test_evaluate_shows_one_line_per_class(monkeypatch):
    metrics = ClassMetrics(images=3, predicted=3, correct=2, mistaken_for=NAMES[0])
    monkeypatch.setattr(Report, "_classes", lambda self: dict.fromkeys(NAMES, metrics))
    scores = SimpleNamespace(images=15, top_1=0.6, correct=10, top_k=1, correct_in_top_k=15)
    predictor = SimpleNamespace(model_dir="/m", class_names=NAMES)
    report = Report(predictor, "csv:a", ["test"], scores, [("x\ny.png", "empty file")], 1.0)
    lines = report.to_text().splitlines()
    table = lines[lines.index("") + 1 :][: 1 + len(NAMES)]
    assert [line.split("  ")[0] for line in table[1:]] == list(SHOWN)
    assert "  x\\ny.png: empty file" in lines
