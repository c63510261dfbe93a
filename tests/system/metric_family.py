"""Reads delimited io.prometheus.client.MetricFamily messages: a decoder that shares nothing with the program under test."""

import dataclasses
import struct

CONTENT_TYPE = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = 3, 4, 5


@dataclasses.dataclass
class Metric:
    labels: dict[str, str]
    timestamp_ms: int
    value: float | None = None
    histogram: dict | None = None


@dataclasses.dataclass
class Family:
    name: str
    type: int
    metrics: list[Metric]


def take_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes):
    """(number, value) of a message: integers, doubles and bytes."""
    at = 0
    while at < len(data):
        key, at = take_varint(data, at)
        if key & 7 == 0:
            value, at = take_varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif key & 7 == 2:
            size, at = take_varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size, "truncated"
        else:
            raise AssertionError(f"wire type {key & 7}")
        yield key >> 3, value


def unzigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def decode_span(data: bytes) -> tuple[int, int]:
    span = dict(fields(data))
    return unzigzag(span.get(1, 0)), span.get(2, 0)


def decode_histogram(data: bytes) -> dict:
    names = {1: "count", 2: "sum", 4: "count", 5: "schema", 6: "zero_threshold", 8: "zero_count"}
    out = {"buckets": [], "positive_spans": [], "positive": [], "negative_spans": [], "negative": []}
    for number, value in fields(data):
        if number == 3:
            bucket = dict(fields(value))
            out["buckets"].append((bucket[2], bucket[1] if 1 in bucket else bucket[4]))
        elif number in (9, 12):
            out["negative_spans" if number == 9 else "positive_spans"].append(decode_span(value))
        elif number in (11, 14):
            out["negative" if number == 11 else "positive"] += [v for v, in struct.iter_unpack("<d", value)]
        else:
            out[names[number]] = unzigzag(value) if number == 5 else value
    return out


def decode_metric(data: bytes) -> Metric:
    metric = Metric({}, 0)
    for number, value in fields(data):
        if number == 1:
            pair = dict(fields(value))
            metric.labels[pair[1].decode()] = pair[2].decode()
        elif number == 5:
            metric.value = dict(fields(value))[1]
        elif number == 6:
            metric.timestamp_ms = value
        elif number == 7:
            metric.histogram = decode_histogram(value)
        else:
            raise AssertionError(f"field {number} in a metric")
    return metric


def decode(body: bytes) -> list[Family]:
    families, at = [], 0
    while at < len(body):
        size, at = take_varint(body, at)
        family = Family("", -1, [])
        for number, value in fields(body[at:at + size]):
            if number == 1:
                family.name = value.decode()
            elif number == 3:
                family.type = value
            elif number == 4:
                family.metrics.append(decode_metric(value))
            else:
                raise AssertionError(f"field {number} in a family")
        at += size
        families.append(family)
    return families
