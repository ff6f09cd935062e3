# SPDX-License-Identifier: Apache-2.0
"""Tables of found copies and of look-alikes taken for copies.

    python -m benchmarks.deduplication --photos=FOLDER
    python -m benchmarks.deduplication --cifar=FOLDER

The second command measures labeled duplicates of CIFAR-10; see `cifar.py`. Of the first, FOLDER
holds different photographs. Of each, the copies of `copies.py` are made, and the share that is
found is printed by kind, next to the number of pairs of different photographs. The look-alikes of
`look_alikes.py` are generated; none of them is a copy. Other libraries are compared if they are
installed: pip install imagehash pdqhash vision-data-doctor.
"""

from __future__ import annotations

import collections
import pathlib
import time

import click
from PIL import Image, ImageOps

from benchmarks.deduplication import cifar as labeled_cifar
from benchmarks.deduplication import copies, look_alikes
from benchmarks.deduplication.methods import list_methods
from mixer_tf import console

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@click.command()
@click.option("--photos", metavar="FOLDER", help="A folder of different photographs.")
@click.option("--cifar", metavar="FOLDER", help="Labeled CIFAR-10 images; only they are compared.")
@click.option("--limit", default=60, show_default=True, help="Read at most so many of them.")
@click.option("--look-alikes", "number", default=120, show_default=True, help="Images of each set.")
@click.option("--seed", default=0, show_default=True)
def main(photos: str | None, cifar: str | None, limit: int, number: int, seed: int) -> None:
    """Measures what a deduplication finds and what it takes for duplicates by mistake."""
    if cifar:
        _require_cifar(cifar)
        click.echo(labeled_cifar.make_tables(cifar))
        return
    methods = list_methods()
    if photos:
        click.echo(_copies_table(methods, photos, limit, seed))
    click.echo(_look_alikes_table(methods, number, seed))


def _require_cifar(folder: str) -> None:
    missing = [name for name in labeled_cifar.FILES if not pathlib.Path(folder, name).is_file()]
    if missing:
        raise click.UsageError(
            f"--cifar must be a folder with {', '.join(labeled_cifar.FILES)}; {folder} has no "
            f"{missing[0]}."
        )


def _copies_table(methods, photos: str, limit: int, seed: int) -> str:
    paths = sorted(
        path for path in pathlib.Path(photos).rglob("*") if path.suffix.lower() in _SUFFIXES
    )
    originals = [path.read_bytes() for path in paths[:limit]]
    if not originals:
        raise click.UsageError(f"--photos must be a folder with photographs; {photos} has none.")
    made = []
    for index, path in enumerate(paths[:limit]):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        made += [(index, *copy) for copy in copies.make_copies(image, seed + index)]
    rows = collections.defaultdict(list)
    for method in methods.values():
        start = time.process_time()
        found = method([encoded for _, _, encoded in made], originals)
        seconds = time.process_time() - start
        by_kind = collections.defaultdict(list)
        for query, (original, kind, _) in enumerate(made):
            by_kind[copies.group_of(kind)].append((query, original) in found)
            by_kind[kind].append((query, original) in found)
        for kind, hits in by_kind.items():
            rows[kind].append(f"{sum(hits) / len(hits):.1%}")
        false = sum(made[query][0] != original for query, original in found)
        rows["false pairs"].append(f"{false:,}")
        rows["images/s of CPU time"].append(f"{(len(made) + len(originals)) / seconds:,.0f}")
    title = f"copies of {len(originals):,} photographs"
    return console.format_table([title, *methods], [[kind, *cells] for kind, cells in rows.items()])


def _look_alikes_table(methods, number: int, seed: int) -> str:
    rows = []
    for name, encoded in look_alikes.make_sets(number, seed):
        tests, train = encoded[: number // 3], encoded[number // 3 :]
        removed = [len({query for query, _ in method(train, tests)}) for method in methods.values()]
        rows.append([name, *(f"{count / len(train):.1%}" for count in removed)])
    return console.format_table(["look-alikes that are removed", *methods], rows)


if __name__ == "__main__":
    main()
