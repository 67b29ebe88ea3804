"""The stored metrics and the metrics of this process, in the exposition format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from storage.recording.metric_families import FAMILIES, Family
from storage.recording.metrics import Totals

_PROCESS = CollectorRegistry()
ProcessCollector(registry=_PROCESS)


def expose(totals: Totals, accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that the Accept header asks for, with its content type."""
    registry = CollectorRegistry()
    registry.register(_Stored(totals))
    registry.register(_PROCESS)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Stored(Collector):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """Yield all families, including those without a series."""
        for family in FAMILIES:
            yield _histogram(family, self._totals) if family.kind == "histogram" else _values(family, self._totals)


def _values(family: Family, totals: Totals) -> Metric:
    counter = family.kind == "counter"
    metric = (CounterMetricFamily if counter else GaugeMetricFamily)(family.name, family.help, labels=family.labels)
    for labels, value in sorted(totals.values[family.name].items()):
        metric.add_metric(labels, value)
    return metric


def _histogram(family: Family, totals: Totals) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels, found in sorted(totals.histograms[family.name].items()):
        metric.add_metric(labels, buckets=list(found.buckets), sum_value=found.sum)
    return metric
