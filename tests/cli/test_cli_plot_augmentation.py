# SPDX-License-Identifier: Apache-2.0
"""`mixer plot augmentation` on folders of images."""

import numpy as np
import pytest
from PIL import Image


def test_the_command_writes_one_row_per_image(mixer, image_folder, tmp_path):
    path = tmp_path / "new" / "plot.png"
    result = mixer(
        *("plot", "augmentation", f"--source=folder:{image_folder}", f"--output={path}"),
        *("--images=3", "--draws=4", "--set", "model.image_size=16", "--set", "data.mixup=0.2"),
    )
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line[:8] for line in lines] == ["row  1  ", "row  2  ", "row  3  ", "plot    "]
    assert lines[-1] == f"plot    {path}"
    plot = np.asarray(Image.open(path))
    assert plot.shape == (3 * (48 + 4) + 4, 5 * (48 + 4) + 4, 3)  # each pixel 3 x 3, and gaps
    cells = [
        plot[4 + 52 * row : 52 + 52 * row, 4 + 52 * column : 52 + 52 * column].tobytes()
        for row in range(3)
        for column in range(5)
    ]
    assert len(set(cells)) == 15


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--output=plot.txt", "--output must end in .png; got plot.txt."),
        ("--set=data.randaugment=1", "Did you mean data.randaugment_layers?"),
    ],
)
def test_bad_options_are_refused_before_the_source_is_opened(mixer, option, message):
    result = mixer("plot", "augmentation", "--source=folder:/nowhere", option)
    assert result.exit_code != 0
    assert message in result.output


def test_a_source_without_usable_images(mixer, tmp_path):
    (tmp_path / "cat").mkdir()
    for number in range(4):
        (tmp_path / "cat" / f"{number}.png").write_bytes(b"")
    result = mixer("plot", "augmentation", f"--source=folder:{tmp_path}")
    assert result.exit_code == 1
    assert "must have a usable image in the split train; none of the first" in result.output
