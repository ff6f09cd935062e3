# SPDX-License-Identifier: Apache-2.0
"""Classes are matched by synonyms only where that is unambiguous."""

import json

import numpy as np
import pytest

from mixer_tf.evaluation import class_name_files, classification, label_spaces
from mixer_tf.evaluation.label_spaces import MatchedPredictor, RenamedPredictor, match_classes
from mixer_tf.features import ImageRecord
from mixer_tf.serving import contract

IDS = ("n02123045", "n02123394", "n02012849", "n03126707", "n02127052")
NAMES = ("tabby, tabby cat", "Persian cat", "crane", "crane", "lynx, catamount")


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("tabby", 0),
        ("Tabby Cat", 0),
        ("tabby_cat", 0),
        ("tabby-cat", 0),
        ("catamount", 4),
        ("lynx, catamount", 4),
        ("persian cat", 1),
        ("n02012849", 2),
    ],
)
def test_a_synonym_in_any_spelling_matches(source, label):
    assert match_classes([source], NAMES, IDS) == {source: label}


def test_classes_without_a_match_are_left_out():
    assert match_classes(["tabby", "cat", "sofa"], NAMES) == {"tabby": 0}


def test_parts_of_words_do_not_match():
    with pytest.raises(ValueError, match="no class of the source, cat, abby, ly,"):
        match_classes(["cat", "abby", "ly"], NAMES)


def test_all_ambiguous_classes_are_listed():
    with pytest.raises(ValueError) as raised:
        match_classes(["crane", "tabby", "tabby cat", "Persian cat, lynx"], NAMES, IDS)
    assert str(raised.value) == (
        "each class of the source must match one class of the model:\n"
        "  crane matches crane (label 2), crane (label 3)\n"
        "  Persian cat, lynx matches Persian cat (label 1), lynx, catamount (label 4)\n"
        "  tabby, tabby cat match the same class, tabby, tabby cat (label 0)\n"
        "State the class of the model with --match 'CLASS=MODEL_CLASS', or name the classes of the "
        "source more exactly."
    )


def test_a_stated_class_settles_it():
    found = match_classes(["crane", "lynx"], NAMES, IDS, chosen={"crane": "n03126707"})
    assert found == {"crane": 3, "lynx": 4}
    chosen = {"big cat": "lynx, catamount"}
    assert match_classes(["big cat"], NAMES, chosen=chosen) == {"big cat": 4}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"crane": "crane"}, "crane is the name of 2 classes"),
        ({"crane": "Crane"}, "Crane is the name of 0 classes"),
        ({"dog": "lynx, catamount"}, "must start with a class of the source, one of crane; got"),
    ],
)
def test_a_stated_class_must_exist_once(chosen, message):
    with pytest.raises(ValueError, match=message):
        match_classes(["crane"], NAMES, IDS, chosen=chosen)


class Model:
    model_dir = "m"
    class_names = IDS

    def probabilities(self, encoded):
        return np.array([[0.1, 0.2, 0.05, 0.25, 0.4], [0, 0, 0, 0.5, 0.5]], np.float32)


def test_the_model_chooses_among_the_matched_classes():
    renamed = RenamedPredictor(Model(), NAMES)
    matched = MatchedPredictor(renamed, {"lynx": 4, "tabby": 0}, normalize=True)
    assert matched.class_names == ("lynx", "tabby")
    np.testing.assert_allclose(matched.probabilities([]), [[0.8, 0.2], [1, 0]], rtol=1e-6)
    assert matched.matched_names == {"lynx": "lynx, catamount", "tabby": "tabby, tabby cat"}
    ids = ("n02127052", "n02123045")
    assert matched.all_names == (matched.class_names, (NAMES[4], NAMES[0]), ids)
    assert label_spaces.names_of_classes(Model()) == (IDS,)
    raw = MatchedPredictor(renamed, {"lynx": 4, "tabby": 0}, normalize=False)
    np.testing.assert_allclose(raw.probabilities([]), [[0.4, 0.1], [0.5, 0]], rtol=1e-6)
    none = MatchedPredictor(Model(), {"a": 0, "b": 1}, normalize=True)
    np.testing.assert_allclose(none.probabilities([])[1], [0.5, 0.5])


def test_probabilities_that_are_not_numbers_are_an_error_of_matched_classes_too():
    model = Model()
    model.probabilities = lambda encoded: np.full((1, 5), np.nan, np.float32)
    matched = MatchedPredictor(model, {"lynx": 4, "tabby": 0}, normalize=True)
    assert np.isnan(matched.probabilities([])).all()
    record = ImageRecord(b"", "PNG", 0, "lynx", "a.png", 1, 1)
    with pytest.raises(ValueError, match="m returns NaN or infinity for a.png"):
        classification.evaluate([matched], [record])


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_independent_probabilities_are_not_divided_by_their_sum(tmp_path, loss):
    folder = tmp_path / contract.EXTRA_ASSETS
    folder.mkdir()
    (folder / contract.RECIPE_FILE).write_text(json.dumps({"training": {"loss": loss}}))
    model = Model()
    model.model_dir = str(tmp_path)
    found = label_spaces.match(model, ["n02123045", "n02127052"])
    assert found.normalize is (loss == "softmax")
    assert found.remark().startswith("the model chose among 2 of its 5 classes: n02123045 = ")


def test_equal_names_get_their_label_and_are_not_those_of_a_source():
    assert label_spaces.distinct(NAMES)[2:4] == ("crane (2)", "crane (3)")
    label_spaces.require_distinct(["tabby, tabby cat"], NAMES)
    with pytest.raises(ValueError, match="these are several: crane"):
        label_spaces.require_distinct(["crane"], NAMES)


def write(folder, lines) -> str:
    path = folder / "names.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_names_are_read_in_label_order_or_by_id(tmp_path):
    read = class_name_files.read
    assert read(write(tmp_path, NAMES), IDS) == NAMES
    assert read(write(tmp_path, IDS), ("0", "1", "2", "3", "4")) == IDS
    pairs = [f"{key} {name}" for key, name in zip(IDS, NAMES, strict=True)]
    assert read(write(tmp_path, [*pairs[::-1], "n00001740\tentity"]), IDS) == NAMES


def test_a_byte_order_mark_is_not_part_of_a_name_and_other_encodings_are_refused(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("été\nhiver\n", encoding="utf-8-sig")
    assert class_name_files.read(str(path), ("0", "1")) == ("été", "hiver")
    path.write_text("été\nhiver\n", encoding="latin-1")
    with pytest.raises(ValueError, match="--class-names must be UTF-8; .*names.txt is not: "):
        class_name_files.read(str(path), ("0", "1"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (NAMES[:4], "one line for each of the 5 classes .* has 4 lines"),
        ((*NAMES[:2], "", *NAMES[3:]), "line 3 of .* is"),
        (["n02123045 tabby"], "without one are n02123394, n02012849,"),
        (["n02123045 tabby", "n02123045 cat"], "has 'tabby' and 'cat' for n02123045"),
        ([], "has 0 lines"),
    ],
)
def test_incomplete_files_are_refused(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        class_name_files.read(write(tmp_path, lines), IDS)


def test_ids_do_not_name_a_model_without_ids(tmp_path):
    """Its labels might be in another order than the ids."""
    path = write(tmp_path, [f"{key} {name}" for key, name in zip(IDS, NAMES, strict=True)])
    with pytest.raises(ValueError, match="classes of the model must be named by such ids"):
        class_name_files.read(path, ("0", "1", "2", "3", "4"))
