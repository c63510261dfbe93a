"""What the metrics benchmark asks, on which series."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Query:
    """A range query; `step` in seconds."""

    title: str
    text: str
    step: int


# What dashboards ask, over an hour.
DASHBOARD = [Query(*one) for one in [
    ("sum of rates, 10k series", "sum(rate(node_cpu_seconds_total[5m]))", 15),
    ("sum of rates, 10k series, 1 min", "sum(rate(node_cpu_seconds_total[5m]))", 60),
    ("rates by mode", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 60),
    ("rates by instance and mode", "sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))", 60),
    ("busy share", 'sum(rate(node_cpu_seconds_total{mode!="idle"}[5m])) / sum(rate(node_cpu_seconds_total[5m]))', 60),
    ("p99 of 10k buckets", "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))", 60),
    ("p90 by handler", "histogram_quantile(0.9, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))", 60),
    ("increase by device", "sum by (device) (increase(node_network_metric1_total[15m]))", 60),
    ("irate by datacenter", "sum by (datacenter) (irate(node_network_metric2_total[5m]))", 60),
    ("average of a gauge", "avg by (datacenter) (node_memory_gauge1_bytes)", 60),
    ("max over time", "max by (zone) (max_over_time(node_memory_gauge2_bytes[10m]))", 60),
    ("avg over time", "avg(avg_over_time(node_memory_gauge3_bytes[10m]))", 60),
    ("quantile over time", "max(quantile_over_time(0.9, node_memory_gauge4_bytes[10m]))", 60),
    ("top 5", "topk(5, sum by (instance) (rate(node_network_metric3_total[5m])))", 60),
    ("regex on a label", 'sum(rate(node_cpu_seconds_total{instance=~"node-000[0-4].*",mode=~"user|system"}[5m]))', 60),
    ("join", "sum by (instance) (node_memory_gauge1_bytes) / on (instance) sum by (instance) (node_memory_gauge2_bytes)", 60),
    ("count of 100k series", 'count({job="node"})', 300),
    ("count by name of 100k series", 'count by (__name__) ({job="node"})', 300),
    ("one host, one metric, raw", 'node_cpu_seconds_total{instance="node-00007-0.example.internal:9100",cpu="0"}', 15),
    ("one host, rates", 'rate(node_network_metric1_total{instance="node-00007-0.example.internal:9100"}[5m])', 15),
]]

# What people say is slow, on the same series and hour.
COSTLY = [Query(*one) for one in [
    ("sum of 100k series by instance", 'sum by (instance) ({job="node"})', 60),
    ("sum of 100k series without a label", 'sum without (device, zone, version, cpu, mode, handler) ({job="node"})', 300),
    ("10k rates in groups of one", "sum by (instance, cpu, mode) (rate(node_cpu_seconds_total[5m]))", 60),
    ("top 10 of 100k series", 'topk(10, {job="node"})', 300),
    ("regex over 100k series: prefix", 'count({instance=~"node-0000[0-4].*"})', 300),
    ("regex over 100k series: suffix", 'count({job="node", instance=~".*7-0[.]example[.]internal:9100"})', 300),
    ("regex over 100k series: none of", 'count({job="node", instance!~"node-000[0-8].*"})', 300),
    ("regex over names", 'count by (__name__) ({__name__=~"node_(cpu|memory).*(bytes|total)"})', 300),
    ("1k quantiles of 10k buckets", "histogram_quantile(0.99, rate(http_request_duration_seconds_bucket[5m]))", 60),
    ("sub-query: peak of 10k rates", "max_over_time(rate(node_cpu_seconds_total[5m])[30m:1m])", 300),
    ("sub-query: average of a sum of rates", "avg_over_time(sum(rate(node_cpu_seconds_total[5m]))[30m:1m])", 60),
    ("sub-query: quantile of the top", "quantile_over_time(0.9, topk(5, node_memory_gauge1_bytes)[30m:1m])", 300),
]]

# Of weeks of samples five minutes apart, over the last day; {days}: how many there are.
LONG = [Query(*one) for one in [
    ("rate over {days} days", "sum by (mode) (rate(node_cpu_seconds_total[{days}d]))", 3600),
    ("increase over {days} days by instance", "sum by (instance) (increase(node_network_metric1_total[{days}d]))", 3600),
    ("average over {days} days", "avg by (zone) (avg_over_time(node_memory_gauge1_bytes[{days}d]))", 3600),
    ("quantile over {days} days", "max(quantile_over_time(0.99, node_memory_gauge1_bytes[{days}d]))", 3600),
    ("peak hour of {days} days", "max_over_time(sum(rate(node_cpu_seconds_total[1h]))[{days}d:1h])", 14400),
]]

# Over an hour of native histograms.
NATIVE = [Query(*one) for one in [
    ("native: sum of rates", "sum(rate(request_duration_seconds[5m]))", 60),
    ("native: p99", "histogram_quantile(0.99, sum(rate(request_duration_seconds[5m])))", 60),
    ("native: p90 by handler", "histogram_quantile(0.9, sum by (handler) (rate(request_duration_seconds[5m])))", 60),
    ("native: requests per second by code", "sum by (code) (histogram_count(rate(request_duration_seconds[5m])))", 60),
]]
