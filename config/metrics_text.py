"""The numbers as Prometheus reads them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from apps.core.metrics import (
    Counted,
    Histogram,
    Labels,
    StoredGauge,
    StoredHistogram,
    StoredMetric,
    declared,
)


@dataclass(frozen=True, eq=False)
class Numbers(Collector):
    """What one scrape reads: what was counted, and what the database has."""

    counted: Counted
    stored: Mapping[StoredMetric, Mapping[Labels, Any]]

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics in the terms of the library."""
        for metric in declared():
            values = self.counted.get(metric.name, {})
            if isinstance(metric, Histogram):
                yield _histogram(metric, values)
            else:
                made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = made(metric.name, metric.description, labels=list(metric.labels))
                for labels, value in values.items():
                    family.add_metric(labels, value)
                yield family
        for stored, values in self.stored.items():
            if isinstance(stored, StoredHistogram):
                yield _histogram(stored, values)
            else:
                yield gauge_family(stored, values.items())

    def text(self) -> bytes:
        """Return the text of the answer."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)


def gauge_family(gauge: StoredGauge, values: Iterable[tuple[Labels, float]]) -> GaugeMetricFamily:
    """Return a number of the database in the terms of the library."""
    family = GaugeMetricFamily(gauge.name, gauge.description, labels=list(gauge.labels))
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _histogram(
    metric: Histogram | StoredHistogram, values: Mapping[Labels, list[float]]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.description, labels=list(metric.labels))
    names = [*map(str, metric.bounds), "+Inf"]
    for labels, (*counts, seconds) in values.items():
        family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), seconds)
    return family
