# SPDX-License-Identifier: Apache-2.0
"""`mixer export` on a model of `mixer train`."""


def test_export_compares_with_the_trained_model(mixer, trained, bad_folder, tmp_path):
    target = tmp_path / "pets.tflite"
    result = mixer("export", trained.output, target, f"--source=folder:{bad_folder.path}")
    assert result.exit_code == 0, result.output
    header, original, converted, model = result.output.splitlines()
    assert header.split() == [
        "model",
        "size",
        "ms/image",
        "top-1",
        "same",
        "class",
        "largest",
        "difference",
    ]
    assert original.split()[0] == "original" and converted.split()[0] == "pets.tflite"
    assert original.split()[4] == converted.split()[4]  # the accuracy
    assert float(converted.split()[-1]) < 1e-5
    assert model == f"model    {target}"
    result = mixer("export", trained.output, target)
    assert result.exit_code == 1 and "TARGET must be new" in result.output


def test_export_calibrates_with_training_images(mixer, trained, bad_folder, tmp_path):
    target = tmp_path / "pets.tflite"
    arguments = ("export", trained.output, target, "--precision=int8")
    result = mixer(*arguments)
    assert result.exit_code == 1 and "int8 needs --source" in result.output
    result = mixer(*arguments, f"--source=folder:{bad_folder.path}", "--images=3")
    assert result.exit_code == 0, result.output
    assert target.exists()


def test_a_source_that_does_not_fit_the_model_leaves_no_file(
    mixer, trained, write_image_folder, tmp_path
):
    write_image_folder(tmp_path / "images", classes=("cat", "wolf"))
    target = tmp_path / "pets.tflite"
    result = mixer("export", trained.output, target, f"--source=folder:{tmp_path / 'images'}")
    assert result.exit_code == 1
    assert "the model must know all classes of the source; not 'wolf'" in result.output
    assert not target.exists()


def test_a_missing_folder_is_noticed_before_the_model_is_read(mixer, tmp_path):
    folder = tmp_path / "none"
    result = mixer("export", tmp_path / "model", folder / "pets.tflite")
    assert result.exit_code == 1
    text = f"TARGET must be in a folder that exists; got {folder}/pets.tflite. Create {folder}."
    assert result.output == f"Error: {text}\n"


def test_export_without_a_source_compares_made_up_images(mixer, trained, tmp_path):
    result = mixer("export", trained.output, tmp_path / "pets.keras")
    assert result.exit_code == 0, result.output
    assert "compared on 2 made-up images; --source compares the accuracy" in result.output
