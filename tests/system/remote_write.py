"""Remote write requests built by hand: an encoder that shares nothing with the program under test."""

import struct

import cramjam

V1_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
V2_HEADERS = {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63)


def field(number: int, payload: bytes | str) -> bytes:
    if isinstance(payload, str):
        payload = payload.encode()
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def compress(message: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message))


def v1_series(labels: dict[str, str], samples: list[tuple[int, float]], extra: bytes = b"") -> bytes:
    """A TimeSeries; samples are (milliseconds, value)."""
    out = b"".join(field(1, field(1, name) + field(2, value)) for name, value in sorted(labels.items()))
    out += b"".join(field(2, double(1, value) + integer(2, ms)) for ms, value in samples)
    return out + extra


def packed(number: int, values: list[bytes]) -> bytes:
    return field(number, b"".join(values))


def spans(number: int, pairs: list[tuple[int, int]]) -> bytes:
    return b"".join(field(number, integer(1, zigzag(offset)) + integer(2, length)) for offset, length in pairs)


def deltas(counts: list[int]) -> list[bytes]:
    return [varint(zigzag(count - before)) for before, count in zip([0, *counts], counts)]


def spans_of(buckets: dict[int, float]) -> tuple[list[tuple[int, int]], list[float]]:
    """(spans, counts) of buckets by index."""
    pairs, counts, end = [], [], 0
    for index in sorted(buckets):
        if pairs and index == end:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + 1)
        else:
            pairs.append((index - end, 1))
        counts.append(buckets[index])
        end = index + 1
    return pairs, counts


def histogram_message(ms: int, *, count: float, total: float, positive=(), counts=(), negative=(), negative_counts=(),
                      schema: int = 0, zero_threshold: float = 0, zero_count: float = 0, custom=(), hint: int = 0,
                      is_float: bool = False) -> bytes:
    """A Histogram, the same in 1.0 and 2.0; spans are (offset, length), counts absolute."""
    message = double(3, total) + integer(4, zigzag(schema)) + double(5, zero_threshold)
    message += spans(8, negative) + spans(11, positive) + integer(14, hint) + integer(15, ms)
    message += packed(16, [struct.pack("<d", bound) for bound in custom])
    if is_float:
        message += double(2, count) + double(7, zero_count)
        message += packed(10, [struct.pack("<d", one) for one in negative_counts])
        return message + packed(13, [struct.pack("<d", one) for one in counts])
    message += integer(1, count) + integer(6, zero_count)
    return message + packed(9, deltas(negative_counts)) + packed(12, deltas(counts))


def v1_histogram(ms: int, **parts) -> bytes:
    """A TimeSeries' field `histograms`; parts as of `histogram_message`."""
    return field(4, histogram_message(ms, **parts))


def v1_exemplar(ms: int, value: float, labels: dict[str, str]) -> bytes:
    """A TimeSeries' field `exemplars`."""
    pairs = b"".join(field(1, field(1, name) + field(2, text)) for name, text in sorted(labels.items()))
    return field(3, pairs + double(2, value) + integer(3, ms))


def stale_nan() -> float:
    return struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def v1_request(series: list[bytes], metadata: bytes = b"") -> bytes:
    return compress(b"".join(field(1, one) for one in series) + metadata)


def v2_request(series: list[tuple], metadata: tuple[int, str] | None = None) -> bytes:
    """Series are (labels, samples, start timestamp in ms), or those and a list of `histogram_message`s; `metadata` is
    (type, unit) of all of them."""
    symbols = [""]

    def reference(text: str) -> int:
        if text not in symbols:
            symbols.append(text)
        return symbols.index(text)

    body = b""
    for labels, samples, start, *histograms in series:
        references = b"".join(varint(reference(part)) for pair in sorted(labels.items()) for part in pair)
        one = field(1, references)
        for ms, value in samples:
            one += field(2, double(1, value) + integer(2, ms) + (integer(3, start) if start else b""))
        one += b"".join(field(3, message) for message in (histograms[0] if histograms else []))
        if metadata:
            one += field(5, integer(1, metadata[0]) + integer(4, reference(metadata[1])))
        body += field(5, one)
    return compress(b"".join(field(4, symbol) for symbol in symbols) + body)
