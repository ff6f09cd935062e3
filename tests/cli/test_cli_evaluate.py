# SPDX-License-Identifier: Apache-2.0
"""`mixer evaluate` against an independent count, image by image."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from sklearn import metrics

from mixer_tf.evaluation import imagenet


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """What one command has written.

    Attributes:
        report: the JSON.
        rows: the CSV.
        page: the HTML.
        stderr: what was printed beside the JSON.
    """

    report: dict
    rows: list[dict[str, str]]
    page: str
    stderr: str


@pytest.fixture(scope="module")
def evaluated(mixer, trained, bad_folder, tmp_path_factory) -> Evaluated:
    folder = tmp_path_factory.mktemp("evaluated")
    arguments = (trained.output, f"--source=folder:{bad_folder.path}", "--split=all", "--top=3")
    files = (f"--csv={folder / 'a.csv'}", f"--html={folder / 'a.html'}")
    result = mixer("evaluate", *arguments, "--json", *files)
    assert result.exit_code == 0, result.output
    with open(folder / "a.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    page = (folder / "a.html").read_text("utf-8")
    return Evaluated(json.loads(result.stdout), rows, page, result.stderr)


def test_metrics_equal_an_independent_count(mixer, trained, bad_folder, evaluated):
    report = evaluated.report
    paths = [bad_folder.path / name for name in bad_folder.good]
    predictions = mixer("predict", trained.output, *paths, "--json").stdout.splitlines()
    first = [json.loads(prediction)["predictions"][0]["class_name"] for prediction in predictions]
    right = [name.split("/")[0] for name in bad_folder.good]
    pairs = list(zip(right, first, strict=True))

    assert report["images"] == len(pairs)
    assert report["top_1"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    assert report["top_5"] == 1.0
    for name, counts in report["classes"].items():
        assert counts["images"] == right.count(name)
        assert counts["predicted"] == first.count(name)
        assert counts["correct"] == pairs.count((name, name))
    assert len(report["unusable"]) == len(bad_folder.bad)
    listed = {prediction["image"]: prediction for prediction in report["predictions"]}
    assert {path: listed[path]["class_name"] for path in listed} == dict(
        zip(map(str, paths), right, strict=True)
    )
    for path, line in zip(paths, predictions, strict=True):
        best = json.loads(line)["predictions"][0]
        assert listed[str(path)]["predicted"] == best["class_name"]
        assert listed[str(path)]["probability"] == pytest.approx(best["probability"], abs=1e-5)


def test_the_text_has_metrics_a_table_and_the_unusable_images(mixer, trained, bad_folder):
    source = f"--source=folder:{bad_folder.path}"
    result = mixer("evaluate", trained.output, source, "--split=all")
    assert result.exit_code == 0, result.output
    assert f"images   {len(bad_folder.good)}: train, eval, test of folder:" in result.output
    assert "top-1    " in result.output
    assert "top-5" not in result.output  # of three classes
    assert "\nété 夏 " in result.output
    assert f"{len(bad_folder.bad)} images cannot be used and were left out:" in result.output
    assert "nothing.jpg: empty file" in result.output


def test_the_test_split_is_the_one_of_the_training(mixer, trained, bad_folder):
    source = f"--source=folder:{bad_folder.path}"
    report = json.loads(mixer("evaluate", trained.output, source, "--json").output)
    dataset = json.loads((trained.output / "data" / "dataset.json").read_text())
    assert report["splits"] == ["test"]
    assert report["images"] == sum(dataset["counts"]["test"].values())


def test_classes_that_the_model_does_not_know_are_listed(mixer, trained, image_folder, tmp_path):
    (tmp_path / "cat").symlink_to(image_folder / "cat")
    (tmp_path / "horse").symlink_to(image_folder / "dog")
    arguments = (trained.output, f"--source=folder:{tmp_path}", "--split=all")
    result = mixer("evaluate", *arguments)
    assert result.exit_code == 0, result.output
    assert "note: the model does not know horse: all their images count as wrong" in result.stderr
    assert "\nhorse " in result.stdout


def test_a_source_of_other_classes_is_refused(mixer, trained):
    result = mixer("evaluate", trained.output, "--source=digits")
    assert result.exit_code == 1
    assert "the model knows cat, dog, été 夏, the source has 0, 1, 2, 3, 4, and 5 more" in (
        result.output
    )


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory):
    """The same model, but its predictions are those for the classes in another order."""
    path = tmp_path_factory.mktemp("other") / "renamed"
    shutil.copytree(trained.output / "serving" / "1", path)
    names = path / "assets.extra" / "class_names.json"
    order = json.loads(names.read_text())
    names.write_text(json.dumps([*order[1:], order[0]]))
    return path


def test_csv_json_and_page_hold_the_same_answers(trained, bad_folder, evaluated):
    report, rows, page = evaluated.report, evaluated.rows, evaluated.page
    assert "predictions " in evaluated.stderr and "page " in evaluated.stderr
    listed = {prediction["image"]: prediction for prediction in report["predictions"]}
    assert len(rows) == len(bad_folder.good) + len(bad_folder.bad)
    assert sum(bool(row["error"]) for row in rows) == len(bad_folder.bad)
    for row in filter(lambda row: not row["error"], rows):
        prediction = listed.pop(row["image"])
        assert row["model"] == str(trained.output)
        assert (
            int(row["correct"]) == (row["class_name"] == row["predicted"]) == prediction["correct"]
        )
        names = [row["predicted"], row["predicted_2"], row["predicted_3"]]
        values = [float(row[f"probability{suffix}"]) for suffix in ("", "_2", "_3")]
        assert names == [each["class_name"] for each in prediction["predictions"]]
        assert values == [each["probability"] for each in prediction["predictions"]]
        assert sum(values) == pytest.approx(1) and int(row["rank"]) == prediction["rank"]
        assert names[prediction["rank"] - 1] == row["class_name"]
        assert float(row["class_probability"]) == values[prediction["rank"] - 1]
    assert not listed
    wrong = [prediction for prediction in report["predictions"] if not prediction["correct"]]
    assert page.count('<img src="data:image/jpeg') == 2 * len(wrong)
    assert "http" not in page.replace("http-equiv", "")


def test_calibration_and_confusion_equal_those_of_the_listed_answers(evaluated):
    report = evaluated.report
    predictions = report["predictions"]
    values = np.array([prediction["probability"] for prediction in predictions])
    right = np.array([prediction["correct"] for prediction in predictions])
    bins = np.minimum((values * 15).astype(int), 14)
    gaps = [abs(values[bins == b].sum() - right[bins == b].sum()) for b in range(15)]
    assert report["calibration"]["ece"] == pytest.approx(sum(gaps) / len(values))
    names = list(report["classes"])
    expected = metrics.confusion_matrix(
        [a["class_name"] for a in predictions], [a["predicted"] for a in predictions], labels=names
    )
    found = [[report["confusion"].get(a, {}).get(b, 0) for b in names] for a in names]
    assert found == expected.tolist()


def test_two_models_are_compared_image_by_image(mixer, trained, other, bad_folder, tmp_path):
    table = tmp_path / "both.csv"
    arguments = (trained.output, other, f"--source=folder:{bad_folder.path}", "--split=all")
    report = json.loads(mixer("evaluate", *arguments, "--json", f"--csv={table}").stdout)
    first, second = report["models"]
    pairs = list(zip(first["predictions"], second["predictions"], strict=True))
    assert all(one["image"] == two["image"] for one, two in pairs)
    (comparison,) = report["comparisons"]
    counts = {
        key: sum((one["correct"], two["correct"]) == right for one, two in pairs)
        for key, right in {
            "both_right": (True, True),
            "only_first": (True, False),
            "only_second": (False, True),
            "both_wrong": (False, False),
        }.items()
    }
    assert {key: comparison[key] for key in counts} == counts
    assert comparison["different_predictions"] == len(pairs)  # no class keeps its name
    assert comparison["difference"] == pytest.approx(second["top_1"] - first["top_1"])
    with open(table, encoding="utf-8", newline="") as file:
        models = [row["model"] for row in csv.DictReader(file) if not row["error"]]
    assert models.count(str(trained.output)) == models.count(str(other)) == len(pairs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top=4"], "--top must be at most the number of classes of the model, 3; got 4."),
        (["--csv=a.txt"], "--csv must be a file that ends in .csv; got a.txt."),
        (["--html=/none/a.html"], "--html must be in a folder that exists; got /none/a.html."),
        (["--real=/none/real.json"], "/none/real.json does not exist"),
        (["--match=cat"], "--match must be CLASS=MODEL_CLASS; got cat."),
    ],
)
def test_wrong_options_are_refused_at_once(mixer, trained, image_folder, options, message):
    source = f"--source=folder:{image_folder}"
    result = mixer("evaluate", trained.output, source, *options)
    assert result.exit_code and message in result.output


def test_a_model_is_given_once(mixer, trained, image_folder):
    twice = (trained.output, trained.output / "serving")
    result = mixer("evaluate", *twice, f"--source=folder:{image_folder}")
    assert result.exit_code == 2 and "each MODEL must be given once" in result.output


def test_images_with_other_names_have_no_real_labels(mixer, trained, image_folder, tmp_path):
    real, names = tmp_path / "real.json", tmp_path / "names.txt"
    real.write_text(json.dumps([[0]] * 50_000))
    arguments = (trained.output, f"--source=folder:{image_folder}", f"--real={real}")
    result = mixer("evaluate", *arguments)
    assert result.exit_code == 1 and "named by WordNet ids of ImageNet" in result.output
    names.write_text("n01440764\nn01443537\nn02123045\n")
    match = ("--match=cat=n01440764", "--match=dog=n01443537")
    result = mixer("evaluate", *arguments, f"--class-names={names}", *match)
    assert result.exit_code == 1
    assert "must have names such as ILSVRC2012_val_00000001.JPEG; got /" in result.output


def test_real_accuracy_is_that_of_the_lists_of_the_named_images(
    mixer, trained, image_folder, tmp_path
):
    """Images with names of ImageNet, of classes named by ids, not in the order of the numbers."""
    ids = {"cat": "n01440764", "dog": "n02123045"}  # labels 0 and 281
    numbers = iter(range(49_000, 0, -37))
    lists, images = [[0]] * 50_000, {}
    (tmp_path / "flat").mkdir()
    for name, wordnet_id in ids.items():
        (tmp_path / "val" / wordnet_id).mkdir(parents=True)
        for index, path in enumerate(sorted((image_folder / name).iterdir())):
            number = next(numbers)
            lists[number - 1] = [[], [0], [281, 5], [0, 281]][index % 4]
            target = tmp_path / "val" / wordnet_id / f"ILSVRC2012_val_{number:08d}.JPEG"
            shutil.copy(path, target)
            shutil.copy(path, tmp_path / "flat" / target.name)
            images[str(target)] = lists[number - 1]
    real, names = tmp_path / "real.json", tmp_path / "names.txt"
    real.write_text(json.dumps(lists))
    names.write_text("n01440764\nn02123045\nn15075141\n")
    arguments = (trained.output, f"--real={real}", f"--class-names={names}", "--json")
    result = mixer("evaluate", *arguments, f"--source=folder:{tmp_path / 'val'}", "--split=all")
    report = json.loads(result.stdout)
    labels = {"n01440764": 0, "n02123045": 281, "n15075141": 999}
    expected = {
        prediction["image"]: labels[prediction["predicted"]] in images[prediction["image"]]
        for prediction in report["predictions"]
        if images[prediction["image"]]
    }
    assert report["real"] == {
        "accuracy": pytest.approx(sum(expected.values()) / 30),
        "images": 30,
        "correct": sum(expected.values()),
        "without_labels": 10,
    }
    for prediction in report["predictions"]:
        assert prediction["real"] == expected.get(prediction["image"])
    assert any("of the 49,990 labeled validation images" in note for note in report["notes"])
    result = mixer("evaluate", *arguments, f"--source=images:{tmp_path / 'flat'}")
    flat = json.loads(result.stdout)
    assert flat["real"] == report["real"] and "count as wrong" in result.stderr
    for prediction in flat["predictions"]:
        number = int(prediction["image"][-13:-5])
        assert prediction["class_name"] == imagenet.validation_ids()[number - 1]


def test_a_model_of_other_names_chooses_among_the_matched_classes(
    mixer, trained, image_folder, tmp_path
):
    names = tmp_path / "names.txt"
    names.write_text("felis, house cat\ndog, domestic dog\nhouse cat, summer\n")
    for name, target in (("house_cat", "cat"), ("Dog", "dog")):
        (tmp_path / name).symlink_to(image_folder / target)
    arguments = (trained.output, f"--source=folder:{tmp_path}", "--split=all", "--json")
    arguments += (f"--class-names={names}", "--match-classes")
    result = mixer("evaluate", *arguments)
    assert result.exit_code == 1
    assert "house_cat matches felis, house cat (label 0), house cat, summer (label 2)" in (
        result.output
    )
    found = json.loads(mixer("evaluate", *arguments, "--match=house_cat=felis, house cat").stdout)
    plain = (trained.output, f"--source=folder:{image_folder}", "--split=all", "--json")
    reference = json.loads(mixer("evaluate", *plain).stdout)["predictions"]
    expected = {}
    for prediction in reference:
        by_class = {each["class_name"]: each["probability"] for each in prediction["predictions"]}
        pair = {"house_cat": by_class["cat"], "Dog": by_class["dog"]}
        best = max(pair, key=pair.get)
        expected["/".join(prediction["image"].split("/")[-2:])] = (
            best,
            pair[best] / sum(pair.values()),
        )
    assert found["matched_classes"] == {
        "Dog": "dog, domestic dog",
        "house_cat": "felis, house cat",
    }
    for prediction in found["predictions"]:
        folder, name = prediction["image"].split("/")[-2:]
        best, probability = expected[f"{'cat' if folder == 'house_cat' else 'dog'}/{name}"]
        assert prediction["predicted"] == best
        assert prediction["probability"] == pytest.approx(probability, rel=1e-5)
