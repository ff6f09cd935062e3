# SPDX-License-Identifier: Apache-2.0
"""Decides in Beam which images are removed: for each image alone, or with those it depends on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from mixer_tf.deduplication import connected
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.removals import Removal, decide
from mixer_tf.features import TRAIN

_MATCHES, _LABELS = "matches", "labels"


class Decide(beam.PTransform):
    """Matches → Removals, in no order: those of `removals.decide` for all matches together.

    What is done about an image depends on its matches, and within training on what is done about
    the images that it is a duplicate of. So images that no pair connects are decided apart.

    Args:
        comparable_sets, keep: see `removals.decide`.
        within_train: whether there may be matches of two training images.
    """

    def __init__(self, comparable_sets: Collection[str], keep: Collection[str], within_train: bool):
        super().__init__()
        self._comparable_sets, self._keep = comparable_sets, keep
        self._within_train = within_train

    def expand(self, matches):
        keyed = matches | "Key" >> beam.Map(_key_by_image)
        if self._within_train:
            edges = matches | "Edges" >> beam.FlatMap(_edges)
            labels = edges | FindComponents()
            keyed = (
                {_MATCHES: keyed, _LABELS: labels}
                | "Join" >> beam.CoGroupByKey()
                | "Relabel" >> beam.FlatMap(_relabel)
            )
        return (
            keyed
            | "Group" >> beam.GroupByKey()
            | "Decide" >> beam.FlatMap(_decide, self._comparable_sets, self._keep)
        )


class FindComponents(beam.PTransform):
    """Finds connected components: (key, key) edges → (key, label), which may repeat.

    All keys of a component, and no others, have its label.
    """

    def expand(self, edges):
        for number in range(1, connected.ROUNDS + 1):
            edges = (
                edges
                | f"Both ways {number}" >> beam.FlatMap(connected.both_ways)
                | f"Neighbors {number}" >> beam.GroupByKey()
                | f"Large star {number}" >> beam.FlatMap(connected.large_star)
                | f"Smaller neighbors {number}" >> beam.GroupByKey()
                | f"Small star {number}" >> beam.FlatMap(connected.small_star)
            )
        roots = (
            edges
            | "Both ways" >> beam.FlatMap(connected.both_ways)
            | "Neighbors" >> beam.GroupByKey()
            | "Inner edges" >> beam.FlatMap(connected.inner_edges)
            | "All inner edges" >> beam.combiners.ToList()
            | "Roots" >> beam.Map(connected.find_roots)
        )
        return edges | "Labels" >> beam.FlatMap(connected.label_ends, AsSingleton(roots))


def _key_by_image(match: Match) -> tuple[bytes, Match]:
    return connected.image_key(match.image), match


def _edges(match: Match) -> Iterator[connected.Edge]:
    if match.other.set_name == TRAIN:
        first, second = map(connected.image_key, (match.image, match.other))
        yield connected.make_edge(first, second)


def _relabel(group: tuple[bytes, Mapping[str, Iterable]]) -> Iterator[tuple[bytes, Match]]:
    key, found = group
    label = next(iter(found[_LABELS]), key)
    for match in found[_MATCHES]:
        yield label, match


def _decide(
    group: tuple[bytes, Iterable[Match]], comparable_sets: Collection[str], keep: Collection[str]
) -> list[Removal]:
    return decide(group[1], comparable_sets, keep)
