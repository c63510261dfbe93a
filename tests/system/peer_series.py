"""Random series of the names that random queries speak of (src/promql/testing/vocabulary.h), made so that Prometheus
2.42 and 3.x must agree on them. What every series obeys, and why:

- Times lie in `BASE` .. `BASE + SPAN_SECONDS` and have milliseconds in 301..699 (never 500), so that a window whose ends
  are whole seconds never begins at a sample: 2.42 counts a sample at its left end, 3.x does not.
- Values are small multiples of 1/64: sums and differences are exact in whatever order and with whatever compensation they
  are added. In some metrics a smaller fraction that belongs to the series is added, so that no two have equal values, among
  which `topk` chooses by the order that a store happens to have. `weird` has NaN, infinities and -0, but neither huge nor
  tiny values.
- How far a rate is extrapolated to a counter's zero differs where the window's first sample is more than an interval from
  its left end *and* low compared with the increments. So what may be that low never has gaps (counters that reset to
  zero, gauges that are not negative), and what has gaps never gets that low. Native histograms always reset to high counts:
  only 3.x stops their extrapolation at zero.
- Each series has a sample in the first request, which is in the order of labels, so that both stores have them in one order.
"""

import dataclasses
import itertools
import math
import random
from collections.abc import Iterator

import remote_write as rw

BASE = 1_700_002_800  # A whole hour.
SPAN_SECONDS = 10_200
SLICE_SECONDS = 600
JOBS, INSTANCES = ["api", "db", "web"], ["i0", "i1", "i2"]
DISTINCT = {"errors_total", "hits", "temperature", "requests_total", "queue_depth", "latency_seconds_sum"}
BOUNDS = ["0.1", "0.5", "1", "2.5", "+Inf"]


@dataclasses.dataclass
class Series:
    """Floats are (ms, value); histograms are (ms, encoded field)."""

    labels: dict[str, str]
    floats: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    histograms: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)


def times(random_: random.Random, *, gaps: bool) -> list[int]:
    """In ms, one of each interval of the series. A gap is a few samples long, or up to three quarters of an hour."""
    interval = random_.choice([10, 15, 15, 15, 30])
    holes = []
    for _ in range(random_.randrange(1, 9) if gaps else 0):
        at = random_.randrange(interval, SPAN_SECONDS)
        holes.append((at, at + random_.choice([40, 100, 400, 1000, 2700])))
    out = []
    for second in range(0, SPAN_SECONDS, interval):
        if any(lo <= second < hi for lo, hi in holes):
            continue
        fraction = random_.randrange(301, 700)
        out.append((BASE + second) * 1000 + fraction + (fraction == 500))
    return out


def counter(random_: random.Random) -> list[tuple[int, float]]:
    gaps = random_.random() < 0.5
    step = random_.choice([1, 8, 640]) / 64 * random_.randrange(1, 50)
    value = step * 1000
    since_reset, out = 0, []
    resets = random_.choice([0, 0.005, 0.03])
    for ms in times(random_, gaps=gaps):
        since_reset += 1
        if random_.random() < resets and since_reset > 200 and not gaps:
            value, since_reset = random_.choice([0.0, step]), 0
        elif random_.random() < resets and since_reset > 40 and value > step * 400 and gaps:
            value, since_reset = step * 200, 0
        else:
            value += random_.choice([0, 0.25, 0.5, 1, 1, 2]) * step
        out.append((ms, value))
    return with_stale_markers(random_, out) if gaps else out


def gauge(random_: random.Random, *, odd: bool = False) -> list[tuple[int, float]]:
    """`odd`: with infinities, NaN and -0."""
    gaps = random_.random() < 0.4 and not odd
    centre = -1000 if gaps else random_.choice([-40, 0, 3, 20, 1000])
    spread = random_.choice([1, 10, 300])
    out = []
    for ms in times(random_, gaps=gaps):
        value = centre + round(random_.uniform(-spread, spread) * 64) / 64
        if odd and random_.random() < 0.1:
            value = random_.choice([float("inf"), float("-inf"), float("nan"), float("nan"), -0.0])
        out.append((ms, value))
    return with_stale_markers(random_, out) if gaps else out


def constant(random_: random.Random, values: list[float]) -> list[tuple[int, float]]:
    """Mostly the first of `values`."""
    return [(ms, values[0] if random_.random() < 0.9 else random_.choice(values)) for ms in times(random_, gaps=False)]


def with_stale_markers(random_: random.Random, samples: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Some samples are replaced by a marker, after which the series is silent for a while."""
    out, silent_until = [], 0
    for ms, value in samples:
        if ms < silent_until:
            continue
        if random_.random() < 0.01:
            out.append((ms, rw.stale_nan()))
            silent_until = ms + random_.choice([0, 20_000, 200_000, 1_000_000])
        else:
            out.append((ms, value))
    return out


def classic_histogram(random_: random.Random, name: str, labels: dict[str, str]) -> Iterator[Series]:
    """Cumulative buckets with a sum and a count, all sampled at the same times; it may reset as a whole."""
    moments = times(random_, gaps=False)
    weights = [random_.choice([0, 1, 2, 5, 9]) for _ in BOUNDS]
    weights[-1] = max(weights[-1], 1)
    own = [5000.0 + random_.randrange(100) for _ in BOUNDS]
    total = 1000.0
    buckets: list[list[tuple[int, float]]] = [[] for _ in BOUNDS]
    sums, counts = [], []
    for n, ms in enumerate(moments):
        if n > 250 and random_.random() < 0.004:
            own, total = [0.0] * len(own), 0.0
        for i, weight in enumerate(weights):
            own[i] += random_.randrange(weight + 1)
        total += random_.randrange(64) / 64
        cumulative = 0.0
        for i, count in enumerate(own):
            cumulative += count
            buckets[i].append((ms, cumulative))
        sums.append((ms, total))
        counts.append((ms, cumulative))
    for bound, samples in zip(BOUNDS, buckets):
        yield Series({"__name__": f"{name}_bucket", "le": bound} | labels, samples)
    yield Series({"__name__": f"{name}_sum"} | labels, sums)
    yield Series({"__name__": f"{name}_count"} | labels, counts)


class ExponentialState:
    """An exponential histogram that only grows, until it resets."""

    def __init__(self, random_: random.Random, schema: int):
        self.random, self.schema = random_, schema
        self.positive = {index: 50 + random_.randrange(20) for index in random_.sample(range(-6, 12), 5)}
        self.negative = {index: 10 for index in random_.sample(range(-3, 4), random_.choice([0, 0, 2]))}
        self.zero, self.sum = 20, 4096.0
        self.first = dict(self.positive), dict(self.negative), self.zero, self.sum

    def reset(self) -> None:
        positive, negative, self.zero, self.sum = self.first
        self.positive, self.negative = dict(positive), dict(negative)

    def grow(self) -> None:
        for side, width in ((self.positive, 9), (self.negative, 3)):
            for index in side:
                side[index] += self.random.randrange(width)
        if self.random.random() < 0.02:
            self.positive.setdefault(self.random.randrange(-8, 16), 1)
        self.zero += self.random.randrange(2)
        self.sum += self.random.randrange(-8, 640) / 64

    def encode(self, ms: int, hint: int = 0) -> bytes:
        positive, counts = rw.spans_of(self.positive)
        negative, negative_counts = rw.spans_of(self.negative)
        return rw.v1_histogram(ms, count=self.zero + sum(counts) + sum(negative_counts), total=self.sum, schema=self.schema,
                               zero_threshold=0.001, zero_count=self.zero, positive=positive, counts=counts,
                               negative=negative, negative_counts=negative_counts, hint=hint)


def native_histogram(random_: random.Random, schema: int, *, gauge_hint: bool = False) -> list[tuple[int, bytes]]:
    state = ExponentialState(random_, schema)
    since_reset, out = 0, []
    for ms in times(random_, gaps=False):
        since_reset += 1
        if since_reset > 60 and random_.random() < 0.01:
            state.reset()
            since_reset = 0
        state.grow()
        out.append((ms, state.encode(ms, hint=3 if gauge_hint else 0)))
    return out


def make_series(seed: int) -> list[Series]:
    """In order of labels."""
    random_ = random.Random(seed)
    out = []
    for job, instance in itertools.product(JOBS, INSTANCES):
        pair = {"job": job, "instance": instance}

        def add(name: str, floats: list[tuple[int, float]], more: dict[str, str] | None = None) -> None:
            out.append(Series({"__name__": name} | (more or {}) | pair, floats))

        add("errors_total", counter(random_))
        add("hits", counter(random_))
        add("temperature", gauge(random_))
        add("up", constant(random_, [1, 0]))
        add("weird", gauge(random_, odd=True))
        for code in ("200", "404", "500"):
            add("requests_total", counter(random_), {"code": code})
        for queue in ("in", "out"):
            add("queue_depth", gauge(random_), {"queue": queue})
        add("target_info", constant(random_, [1]), {"version": random_.choice(["1.0", "2.0"]), "region": "eu"})
        add("build_info", constant(random_, [1]), {"version": random_.choice(["1.0", "2.0"]), "revision": "r1"})
        out += classic_histogram(random_, "latency_seconds", pair)
        # One pair has none, for selectors of all that a pair has: what a function of floats makes of a histogram differs.
        if pair != {"job": "api", "instance": "i0"}:
            out.append(Series({"__name__": "duration_native"} | pair, [], native_histogram(random_, random_.choice([0, 2, 3]))))
            out.append(Series({"__name__": "gauge_native"} | pair, [], native_histogram(random_, 1, gauge_hint=True)))
    for number, one in enumerate(out):
        if one.labels["__name__"] in DISTINCT:
            one.floats = [(ms, value if math.isnan(value) else value + number / 2**15) for ms, value in one.floats]
    return sorted(out, key=lambda one: sorted(one.labels.items()))


def requests(series: list[Series]) -> Iterator[bytes]:
    """Remote write 1.0 bodies in order of time: Prometheus refuses what is an hour older than its newest sample."""
    for begin in range(BASE, BASE + SPAN_SECONDS + SLICE_SECONDS, SLICE_SECONDS):
        first, last = begin * 1000, (begin + SLICE_SECONDS) * 1000
        encoded = []
        for one in series:
            floats = [(ms, value) for ms, value in one.floats if first <= ms < last]
            histograms = [body for ms, body in one.histograms if first <= ms < last]
            if floats or histograms:
                encoded.append(rw.v1_series(one.labels, floats, b"".join(histograms)))
        if encoded:
            yield rw.v1_request(encoded)


def make_histograms(seed: int, count: int, samples: int) -> list[Series]:
    """Latency-like native histograms that grow, as one service has them: some twenty buckets, 15 s apart."""
    random_ = random.Random(seed)
    out = []
    for number in range(count):
        buckets = {index: 0 for index in range(-10, 10)}
        total, one = 0.0, Series({"__name__": "latency_native", "instance": f"i{number:04}"})
        for k in range(samples):
            observed = 0
            for _ in range(random_.randrange(5, 60)):
                buckets[min(9, max(-10, round(random_.gauss(0, 3))))] += 1
                observed += 1
            total = round(total + observed * random_.uniform(0.5, 1.5), 6)
            positive, counts = rw.spans_of({index: n for index, n in buckets.items() if n})
            ms = (BASE + 15 * k) * 1000
            one.histograms.append((ms, rw.v1_histogram(ms, count=sum(counts), total=total, schema=3, zero_threshold=2.0**-128,
                                                       positive=positive, counts=counts)))
        out.append(one)
    return out
