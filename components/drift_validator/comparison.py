# SPDX-License-Identifier: Apache-2.0
"""The work of DriftValidator: distances between two sets of statistics, and when they say much.

The distances and their thresholds are the `drift_comparator`s of the schema.
"""

from __future__ import annotations

import re

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from mixer_tf import features

# Fewer images differ by chance. Of 200, the share of a class has a standard deviation of at most
# 0.035, and the difference of two such shares 0.05: a quarter of the threshold. With 20 images per
# class, the Jensen-Shannon divergence of equal distributions is about 0.02, a fifth of it.
MIN_EXAMPLES = 200
MIN_PER_CLASS = 20

_DRIFT = (
    anomalies_pb2.AnomalyInfo.COMPARATOR_L_INFTY_HIGH,
    anomalies_pb2.AnomalyInfo.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH,
)
_LARGEST = re.compile(r"maximum difference is: (.*)", re.DOTALL)
_DISTANCES = {
    anomalies_pb2.AnomalyInfo.COMPARATOR_L_INFTY_HIGH: "difference of shares",
    anomalies_pb2.AnomalyInfo.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH: (
        "Jensen-Shannon divergence"
    ),
}


def find_drift(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
) -> anomalies_pb2.Anomalies:
    """Returns the features whose distance from the reference is above the schema's threshold.

    Other anomalies are not among them; the ExampleValidator finds those. The description of each
    gives the distance.
    """
    found = tfdv.validate_statistics(statistics, schema, previous_statistics=reference)
    measured = _measurements(found)
    drift = anomalies_pb2.Anomalies(baseline=schema)
    for name, info in sorted(found.anomaly_info.items()):
        reasons = [reason for reason in info.reason if reason.type in _DRIFT]
        if not reasons:
            continue
        for reason in reasons:
            reason.description = _describe(reason, *measured[name, reason.type])
        kept = drift.anomaly_info[name]
        kept.CopyFrom(info)
        del kept.reason[:]
        kept.reason.extend(reasons)
        kept.description = ", ".join(reason.description for reason in reasons)
        kept.short_description = reasons[0].short_description
    drift.drift_skew_info.extend(found.drift_skew_info)
    return drift


def images_missing(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    reference: statistics_pb2.DatasetFeatureStatisticsList,
) -> tuple[int, int] | None:
    """Returns (images of the smaller one, images needed) if they are too few to be compared."""
    sizes = [*map(_num_images, (statistics, reference))]
    classes = max(map(_num_classes, (statistics, reference)))
    needed = max(MIN_EXAMPLES, MIN_PER_CLASS * classes)
    return (min(sizes), needed) if min(sizes) < needed else None


def allow(drift: anomalies_pb2.Anomalies) -> anomalies_pb2.Anomalies:
    """Returns the same as warnings, which do not stop a push."""
    allowed = anomalies_pb2.Anomalies.FromString(drift.SerializeToString())
    for info in allowed.anomaly_info.values():
        info.severity = anomalies_pb2.AnomalyInfo.WARNING
    return allowed


def _measurements(found: anomalies_pb2.Anomalies) -> dict[tuple[str, int], tuple[float, float]]:
    """(feature, type of anomaly) → distance and threshold."""
    kinds = {
        anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: _DRIFT[0],
        anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: _DRIFT[1],
    }
    return {
        (".".join(info.path.step), kinds[each.type]): (each.value, each.threshold)
        for info in found.drift_skew_info
        for each in info.drift_measurements
        if each.type in kinds
    }


def _describe(reason: anomalies_pb2.AnomalyInfo.Reason, value: float, threshold: float) -> str:
    """Such as "difference of shares 0.46, allowed 0.20, most for 'dog'"."""
    largest = _LARGEST.search(reason.description)
    most = f", most for {largest.group(1).rstrip('.')!r}" if largest else ""
    return f"{_DISTANCES[reason.type]} {value:.2f}, allowed {threshold:.2f}{most}"


def _num_images(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> int:
    return sum(int(dataset.num_examples) for dataset in statistics.datasets)


def _num_classes(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> int:
    return max(
        (
            int(feature.string_stats.unique)
            for dataset in statistics.datasets
            for feature in dataset.features
            if features.CLASS_NAME in (feature.name, *feature.path.step)
        ),
        default=0,
    )
