"""Reads OpenMetrics text with Prometheus' own strict parser; prints samples as one JSON object."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

samples = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, f"{family.name} is not described"
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        name = f"{sample.name}{{{labels}}}"
        assert name not in samples, f"{name} is told twice"
        samples[name] = sample.value
json.dump(samples, sys.stdout)
