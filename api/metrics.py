"""The stored metrics and the metrics of processes, in the exposition format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service.administration.certificates import Certificate
from storage.recording.metric_families import FAMILIES, Family
from storage.recording.metrics import Totals

CERTIFICATE_ENDS = "workflow_certificate_expiry_timestamp_seconds"


def expose(
    totals: Totals, processes: Mapping[str, int], accept: str, *, certificates: Sequence[Certificate] = ()
) -> tuple[bytes, str]:
    """Return the metrics in the format that the Accept header asks for, with its content type.

    `processes` are the ids of the processes of this installation that are known here, by their names.
    """
    registry = CollectorRegistry()
    registry.register(_Stored(totals))
    registry.register(_Processes(processes))
    registry.register(_Certificates(certificates))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Stored(Collector):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """Yield all families, including those without a series."""
        for family in FAMILIES:
            yield _histogram(family, self._totals) if family.kind == "histogram" else _values(family, self._totals)


class _Processes(Collector):
    """Processor time, memory and descriptors, each with the name of its process: any API process answers a scrape."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """Yield the families of the processes that run."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for name, pid in sorted(self._processes.items()):
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
                family = families.setdefault(metric.name, kind(metric.name, metric.documentation, labels=["process"]))
                for sample in metric.samples:
                    family.add_metric([name], sample.value)
        yield from families.values()


class _Certificates(Collector):
    """When the certificates end that this process connects with."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._certificates = certificates

    def collect(self) -> Iterator[Metric]:
        """Yield one family, which has no series where there are no certificates."""
        text = "When the certificate ends that this process uses, in seconds since 1970."
        family = GaugeMetricFamily(CERTIFICATE_ENDS, text, labels=["use"])
        for each in self._certificates:
            family.add_metric([each.use], each.ends.timestamp())
        yield family


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
