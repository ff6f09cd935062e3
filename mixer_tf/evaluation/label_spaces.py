# SPDX-License-Identifier: Apache-2.0
"""Maps the classes of a source to those of a model whose classes have other names.

A name may be a list of synonyms, as in ImageNet: "tabby, tabby cat". Two classes match if they have
a synonym in common; capital letters, "_" and "-" do not matter. What could be read in two ways is
refused. No TensorFlow.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mixer_tf.messages import listing, visible
from mixer_tf.serving import contract, locations

_MAX_LISTED = 10


def synonyms(name: str) -> frozenset[str]:
    """Returns the synonyms in the name of a class, in a form that can be compared."""
    return frozenset(filter(None, map(_normalize, name.split(","))))


def _normalize(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def match_classes(
    source_names: Sequence[str],
    model_names: Sequence[str],
    *other_names: Sequence[str],
    chosen: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Returns class of the source → label of the model, for the classes that match.

    Args:
        source_names: the classes of the source.
        model_names: the classes of the model, in label order.
        *other_names: other names of the same classes, such as their WordNet ids.
        chosen: class of the source → class of the model by its full name; overrides the synonyms.

    Raises:
        ValueError: no class matches, a class matches several, or two match the same one; or a
            chosen class does not exist.
    """
    labels = collections.defaultdict(set)
    for names in (model_names, *other_names):
        for label, name in enumerate(names):
            for synonym in synonyms(name):
                labels[synonym].add(label)
    found = {
        name: sorted(set().union(*(labels.get(synonym, ()) for synonym in synonyms(name))))
        for name in source_names
    }
    for name, target in (chosen or {}).items():
        found[name] = [_chosen_label(name, target, source_names, [model_names, *other_names])]
    _require_unambiguous(found, model_names)
    matched = {name: labels[0] for name, labels in found.items() if labels}
    if not matched:
        raise ValueError(
            "the source and the model must share classes; no class of the source, "
            f"{listing(source_names, show=visible)}, has a synonym among those of the model, "
            f"{listing(model_names, show=visible)}. Give names for them with --class-names."
        )
    return matched


def _chosen_label(
    name: str, target: str, source_names: Sequence[str], model_names: Sequence[Sequence[str]]
) -> int:
    if name not in source_names:
        raise ValueError(
            f"--match must start with a class of the source, one of "
            f"{listing(source_names, show=visible)}; got {visible(name)}."
        )
    labels = {
        label for names in model_names for label, other in enumerate(names) if other == target
    }
    if len(labels) != 1:
        raise ValueError(
            f"--match must name one class of the model for {visible(name)}, by its full name; "
            f"{visible(target)} is the name of {len(labels)} classes."
        )
    return labels.pop()


def _require_unambiguous(found: Mapping[str, Sequence[int]], model_names: Sequence[str]) -> None:
    def show(label: int) -> str:
        return f"{visible(model_names[label])} (label {label})"

    problems = [
        f"{visible(name)} matches {listing(labels, show=show)}"
        for name, labels in found.items()
        if len(labels) > 1
    ]
    takers = collections.defaultdict(list)
    for name, labels in found.items():
        if len(labels) == 1:
            takers[labels[0]].append(name)
    problems += [
        f"{listing(names, show=visible)} match the same class, {show(label)}"
        for label, names in takers.items()
        if len(names) > 1
    ]
    if problems:
        raise ValueError(
            "each class of the source must match one class of the model:"
            f"{_lines(problems)}\nState the class of the model with --match 'CLASS=MODEL_CLASS', "
            "or name the classes of the source more exactly."
        )


def _lines(problems: Sequence[str]) -> str:
    shown = "".join(f"\n  {problem}" for problem in problems[:_MAX_LISTED])
    more = len(problems) - _MAX_LISTED
    return shown + (f"\n  and {more:,} more" if more > 0 else "")


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names with the label added to those that occur several times: "crane (517)"."""
    counts = collections.Counter(names)
    return tuple(
        f"{name} ({label})" if counts[name] > 1 else name for label, name in enumerate(names)
    )


def require_distinct(class_names: Iterable[str], names: Sequence[str]) -> None:
    """Raises an error if a class of the source is the name of several classes of the model.

    Args:
        class_names: class names of the source.
        names: class names of the model.

    Raises:
        ValueError: such a class exists.
    """
    counts = collections.Counter(names)
    several = [name for name in class_names if counts[name] > 1]
    if several:
        raise ValueError(
            "each class of the source must be one class of the model; these are several: "
            f"{listing(several, show=visible)}. Make the names in --class-names distinct."
        )


@dataclasses.dataclass(frozen=True)
class RenamedPredictor:
    """A model with other names for its classes.

    Attributes:
        predictor: the model.
        class_names: one name per label.
    """

    predictor: object
    class_names: tuple[str, ...]

    @property
    def model_dir(self) -> str:
        return self.predictor.model_dir

    @property
    def all_names(self) -> tuple[Sequence[str], ...]:
        """These names, and those that the model itself has for the classes."""
        return self.class_names, self.predictor.class_names

    def probabilities(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Returns the probabilities of all classes, float32 [N, C]."""
        return self.predictor.probabilities(encoded)


@dataclasses.dataclass(frozen=True)
class MatchedPredictor:
    """A model that chooses among some of its classes, under the names of the source's classes.

    Attributes:
        predictor: the model.
        labels: class of the source → label of the model.
        normalize: whether the probabilities are divided by their sum, so that they are those of the
            softmax over these classes; not for independent (sigmoid) probabilities.
    """

    predictor: object
    labels: Mapping[str, int]
    normalize: bool

    @property
    def model_dir(self) -> str:
        return self.predictor.model_dir

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.labels)

    @property
    def matched_names(self) -> dict[str, str]:
        """Class of the source → the name that the model has for it."""
        return {name: self.predictor.class_names[label] for name, label in self.labels.items()}

    @property
    def all_names(self) -> tuple[Sequence[str], ...]:
        """The names of the source, and those that the model has for the same classes."""
        others = (
            tuple(names[label] for label in self.labels.values())
            for names in names_of_classes(self.predictor)
        )
        return self.class_names, *others

    def remark(self) -> str:
        """Returns a line about the matched classes."""
        pairs = [f"{name} = {other!r}" for name, other in self.matched_names.items()]
        total = len(self.predictor.class_names)
        return (
            f"the model chose among {len(pairs):,} of its {total:,} classes: "
            f"{listing(pairs, show=str)}"
        )

    def probabilities(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Returns the probabilities of these classes, float32 [N, C]."""
        found = self.predictor.probabilities(encoded)[:, list(self.labels.values())]
        if not self.normalize:
            return found
        totals = found.sum(axis=1, keepdims=True)
        # Where all of them are too small for float32, nothing tells the classes apart. NaN stays.
        equal = np.full_like(found, 1 / found.shape[1])
        return np.divide(found, totals, out=equal, where=totals != 0)


def names_of_classes(predictor) -> tuple[Sequence[str], ...]:
    """Returns all that the classes of a model are called, each in label order; its names first."""
    return getattr(predictor, "all_names", (predictor.class_names,))


def match(
    predictor, source_names: Sequence[str], chosen: Mapping[str, str] | None = None
) -> MatchedPredictor:
    """Returns a model that chooses among the classes that match those of a source.

    Args:
        predictor: a `serving.predictor.Predictor`, or a `RenamedPredictor` of one.
        source_names, chosen: see `match_classes`.

    Raises:
        ValueError: see `match_classes`.
    """
    names, *others = names_of_classes(predictor)
    labels = match_classes(source_names, names, *others, chosen=chosen)
    return MatchedPredictor(predictor, labels, normalize=_has_softmax(predictor.model_dir))


def _has_softmax(model_dir: str) -> bool:
    recipe = json.loads(locations.read_asset(model_dir, contract.RECIPE_FILE))
    return recipe["training"]["loss"] == "softmax"
