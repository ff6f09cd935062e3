# SPDX-License-Identifier: Apache-2.0
"""No secret reaches what `mixer` writes or prints."""

import pytest

SECRET = "hunter2"
URL = f"s3://me:{SECRET}@host/a"
SIGNED = f"https://host/a.png?X-Amz-Signature={SECRET}"


@pytest.mark.parametrize("url", [URL, SIGNED])
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["train", "--source=csv:URL"], "--source"),
        (["train", "--source=digits", "--output=URL"], "--output"),
        (["train", "--source=digits", "--data-dir=URL"], "--data-dir"),
        (["train", "--source=digits", "--set", "model.weights=URL"], "--set"),
        (["evaluate", "URL", "--source=digits"], "MODELS"),
        (["predict", "model", "a.png", "URL"], "IMAGES"),
        (["convert", "a.npz", "URL"], "TARGET"),
        (["upscale", "URL", "larger"], "MODEL"),
        (["plot", "filters", "URL"], "MODELS"),
        (["--verbose", "info", "URL"], "NAME"),
    ],
)
def test_an_argument_with_a_secret_is_refused(mixer, tmp_path, monkeypatch, arguments, name, url):
    monkeypatch.chdir(tmp_path)
    result = mixer(*(word.replace("URL", url) for word in arguments))
    assert result.exit_code == 1
    assert f"{name} must be without user name, password and query" in (
        result.output or str(result.exception)
    )
    assert SECRET not in result.output + str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_nothing_that_a_training_writes_or_prints_has_a_secret(
    mixer, tmp_path, write_image_folder, tiny_options
):
    """The secrets are in the paths of a CSV file; images with an unknown scheme are unreadable."""
    write_image_folder(tmp_path / "images")
    rows = [f"{name}/{i:03d}.png,{name}" for name in ("cat", "dog") for i in range(20)]
    rows += [f"odd{url}&i={i},dog" for i in range(9) for url in (URL, SIGNED)]
    (tmp_path / "images/list.csv").write_text("\n".join(["path,label", *rows]))
    output = tmp_path / "output"
    source = f"--source=csv:{tmp_path}/images/list.csv"
    result = mixer("train", source, f"--output={output}", *tiny_options)
    assert result.exit_code == 0, result.output
    results = [result, mixer("evaluate", output, source, "--split=all", "--json")]
    assert not [each.output for each in results if SECRET in each.output]
    files = [path for path in output.rglob("*") if path.is_file()]
    assert len(files) > 9
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert b"oddhttps://host/a.png" in (output / "data/quarantine.jsonl").read_bytes()
