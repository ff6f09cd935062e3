# SPDX-License-Identifier: Apache-2.0
"""The paper's results are consistent with our models and with each other."""

import re

import pytest

from mixer_tf.models import bit_config, registry, vit_config
from mixer_tf.studies import paper_results

# As printed in the text of the paper; a missing value leaves no gap.
TABLE_2 = """\
Pre-trained on ImageNet-21k (public)
HaloNet Vaswani et al. (2021) 85.8 120 0.10k
Mixer-L/16 84.15 87.86 93.91 74.95 105 0.41k
ViT-L/16 Dosovitskiy et al. (2021) 85.30 88.62 94.39 72.72 32 0.18k
BiT-R152x4 Kolesnikov et al. (2020) 85.39 94.04 70.64 26 0.94k
Pre-trained on JFT-300M (proprietary)
NFNet-F4+ Brock et al. (2021) 89.2 46 1.86k
Mixer-H/14 87.94 90.18 95.71 75.33 40 1.01k
BiT-R152x4 Kolesnikov et al. (2020) 87.54 90.54 95.33 76.29 26 9.90k
ViT-H/14 Dosovitskiy et al. (2021) 88.55 90.72 95.97 77.63 15 2.30k
Pre-trained on unlabelled or weakly labelled data (proprietary)
MPL Pham et al. (2021) 90.0 91.12 20.48k
ALIGN Jia et al. (2021) 88.64 79.99 15 14.82k
"""
TABLE_3 = """\
Pre-trained on ImageNet (with extra regularization)
Mixer-B/16 224 300 76.44 82.36 88.33 1384 0.01k(‡)
ViT-B/16 (☎) 224 300 79.67 84.97 90.79 861 0.02k(‡)
Mixer-L/16 224 300 71.76 77.08 87.25 419 0.04k(‡)
ViT-L/16 (☎) 224 300 76.11 80.93 89.66 280 0.05k(‡)
Pre-trained on ImageNet-21k (with extra regularization)
Mixer-B/16 224 300 80.64 85.80 92.50 1384 0.15k(‡)
ViT-B/16 (☎) 224 300 84.59 88.93 94.16 861 0.18k(‡)
Mixer-L/16 224 300 82.89 87.54 93.63 419 0.41k(‡)
ViT-L/16 (☎) 224 300 84.46 88.35 94.49 280 0.55k(‡)
Mixer-L/16 448 300 83.91 87.75 93.86 105 0.41k(‡)
Pre-trained on JFT-300M
Mixer-S/32 224 5 68.70 75.83 87.13 11489 0.01k
Mixer-B/32 224 7 75.53 81.94 90.99 4208 0.05k
Mixer-S/16 224 5 73.83 80.60 89.50 3994 0.03k
BiT-R50x1 224 7 73.69 81.92 2159 0.08k
Mixer-B/16 224 7 80.00 85.56 92.60 1384 0.08k
Mixer-L/32 224 7 80.67 85.62 93.24 1314 0.12k
BiT-R152x1 224 7 79.12 86.12 932 0.14k
BiT-R50x2 224 7 78.92 86.06 890 0.14k
BiT-R152x2 224 14 83.34 88.90 356 0.58k
Mixer-L/16 224 7 84.05 88.14 94.51 419 0.23k
Mixer-L/16 224 14 84.82 88.48 94.77 419 0.45k
ViT-L/16 224 14 85.63 89.16 95.21 280 0.65k
Mixer-H/14 224 14 86.32 89.14 95.49 194 1.01k
BiT-R200x3 224 14 84.73 89.58 141 1.78k
Mixer-L/16 448 14 86.78 89.72 95.13 105 0.45k
ViT-H/14 224 14 86.65 89.56 95.57 87 2.30k
Mixer-H/14 448 14 87.78 90.08 95.62 40 1.01k
ViT-L/16(†) Dosovitskiy et al. (2021) 512 14 87.76 90.54 95.63 32 0.65k
BiT-R152x4 Kolesnikov et al. (2020) 480 40 87.54 90.54 95.33 26 9.90k
ViT-H/14(†) Dosovitskiy et al. (2021) 518 14 88.55 90.72 95.97 15 2.30k
"""
CITED_ONLY = {"HaloNet", "NFNet-F4+", "MPL", "ALIGN"}


def test_every_model_exists_here_or_is_only_cited():
    models = {*registry.list_models(), *vit_config.NAMES, *bit_config.NAMES}
    assert {result.model for result in paper_results.RESULTS} - models == CITED_ONLY
    assert set(paper_results.MILLION_PARAMETERS) == set(registry.list_models())


@pytest.mark.parametrize("name", registry.list_models())
def test_table_1_equals_our_parameter_count_without_the_head(name):
    parameters = registry.describe(name, num_classes=0).parameters
    assert round(parameters / 1e6) == paper_results.MILLION_PARAMETERS[name]


@pytest.mark.parametrize("name", registry.list_models())
def test_every_mixer_has_results(name):
    assert paper_results.results_of(name)


def test_imagenet_is_below_real_and_real_below_five_tasks():
    """True of every model in the paper; swapped columns would break it."""
    for result in paper_results.RESULTS:
        assert 0 < result.imagenet < (result.real or 91.5) < (result.five_tasks or 100)


def test_cost_is_proportional_to_epochs():
    """Table 3 has Mixer-L/16 for 7 and for 14 epochs."""
    short, long = (
        result
        for result in paper_results.results_of("mixer_l16")
        if result.pretraining == paper_results.JFT and result.image_size == 224
    )
    assert long.epochs == 2 * short.epochs
    assert long.kilo_core_days == pytest.approx(2 * short.kilo_core_days, abs=0.02)


def test_throughput_depends_on_model_and_image_size_only():
    throughputs = {}
    for result in paper_results.RESULTS:
        key = (result.model, result.image_size)
        assert throughputs.setdefault(key, result.images_per_second) == result.images_per_second


def numbers_of(line: str) -> list[float]:
    """The numbers after the name of the model and its reference: "0.10k" is 100."""
    line = re.sub(r"^\S+( \(☎\))?( \D+ et al\. \(\d+\))?", "", line)
    return [float(found) for found in re.findall(r"\d+(?:\.\d+)?", line)]


def given(result: paper_results.PaperResult, *names: str) -> list[float]:
    """The values of a row that the paper reports, in the order of its columns."""
    values = [getattr(result, name) for name in names]
    return [value for value in values if value is not None]


def rows_of(text: str) -> list[tuple[str, str]]:
    """(section, line) of each row."""
    rows, section = [], ""
    for line in text.splitlines():
        if line.startswith("Pre-trained"):
            section = line.removeprefix("Pre-trained on ").partition(" (")[0]
        else:
            rows.append((section, line))
    return rows


def title_of(line: str) -> str:
    return line.split()[0].removesuffix("(†)")


@pytest.mark.parametrize(("table", "text"), [(2, TABLE_2), (3, TABLE_3)])
def test_every_row_and_number_is_as_printed(table, text):
    results = [result for result in paper_results.RESULTS if result.table == table]
    columns = ["imagenet", "real", "five_tasks"]
    columns = columns + ["vtab"] if table == 2 else ["image_size", "epochs", *columns]
    columns += ["images_per_second", "kilo_core_days"]
    rows = rows_of(text)
    assert len(rows) == len(results)
    for (section, line), result in zip(rows, results, strict=True):
        assert result.title == title_of(line), line
        assert given(result, *columns) == numbers_of(line), line
        assert section.startswith(result.pretraining), line


def test_values_are_in_the_column_of_the_table():
    """Rows with gaps, read in the table itself: ALIGN and BiT have no ReaL, MPL no throughput."""
    table_2 = {(r.title, r.pretraining): r for r in paper_results.RESULTS if r.table == 2}
    align, mpl = (table_2[name, paper_results.WEAK] for name in ("ALIGN", "MPL"))
    assert (align.real, align.five_tasks, align.vtab, align.images_per_second) == (
        *(None, None, 79.99, 15),
    )
    assert (mpl.real, mpl.vtab, mpl.images_per_second) == (91.12, None, None)
    bit = table_2["BiT-R152x4", paper_results.I21K]
    assert (bit.real, bit.five_tasks, bit.vtab) == (None, 94.04, 70.64)
    halo = table_2["HaloNet", paper_results.I21K]
    assert (halo.images_per_second, halo.core_days) == (120, 100)
