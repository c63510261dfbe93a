"""Whether two servers gave the same answer to a query."""

import math

# Go's logarithms and powers have other last bits than the C library's: where such values cancel, one server has 0 and the
# other may have this much.
REST = 1e-15


def describe_difference(theirs, ours) -> str:
    """Empty if the responses of a query agree: labels, times, kinds, values to 1e-9 of their size; or that both refuse it."""
    if theirs.status_code != 200 or ours.status_code != 200:
        if theirs.status_code == ours.status_code:
            return ""
        return f"status {ours.status_code} ({ours.text[:300]}), Prometheus has {theirs.status_code} ({theirs.text[:300]})"
    left, right = theirs.json()["data"], ours.json()["data"]
    if left["resultType"] != right["resultType"]:
        return f"type {right['resultType']}, Prometheus has {left['resultType']}"
    if left["resultType"] == "string":
        return "" if left["result"] == right["result"] else f"{right['result']}, Prometheus has {left['result']}"
    if left["resultType"] == "scalar":
        return point_difference(left["result"], right["result"])
    return series_difference(left["result"], right["result"])


def series_difference(theirs: list, ours: list) -> str:
    left, right = by_labels(theirs), by_labels(ours)
    if len(left) != len(theirs) or len(right) != len(ours):
        return "equal label sets in one answer"
    if missing := [key for key in left if key not in right]:
        return f"{len(missing)} series missing, as {dict(missing[0])} with {str(left[missing[0]])[:200]}"
    if surplus := [key for key in right if key not in left]:
        return f"{len(surplus)} series too many, as {dict(surplus[0])} with {str(right[surplus[0]])[:200]}"
    for key, series in left.items():
        for kind, difference in (("value", point_difference), ("histogram", histogram_difference)):
            want, have = points(series, kind), points(right[key], kind)
            if [t for t, _ in want] != [t for t, _ in have]:
                return f"{dict(key)}: {kind}s at {[t for t, _ in have][:20]}, Prometheus at {[t for t, _ in want][:20]}"
            for one, other in zip(want, have):
                if text := difference(one, other):
                    return f"{dict(key)}: {text}"
    return ""


def by_labels(result: list) -> dict:
    return {tuple(sorted(series["metric"].items())): series for series in result}


def points(series: dict, kind: str) -> list:
    if kind in series:
        return [series[kind]]
    return series.get(kind + "s", [])


def close(a: str, b: str) -> bool:
    x, y = float(a), float(b)
    return (math.isnan(x) and math.isnan(y)) or x == y or math.isclose(x, y, rel_tol=1e-9, abs_tol=REST)


def point_difference(theirs: list, ours: list) -> str:
    if theirs[0] == ours[0] and close(theirs[1], ours[1]):
        return ""
    return f"{ours[1]} at {ours[0]}, Prometheus has {theirs[1]} at {theirs[0]}"


def histogram_difference(theirs: list, ours: list) -> str:
    want, have = theirs[1], ours[1]
    pairs = [(want["count"], have["count"]), (want["sum"], have["sum"])]
    left, right = want.get("buckets", []), have.get("buckets", [])
    is_same = len(left) == len(right) and all(a[0] == b[0] for a, b in zip(left, right))
    pairs += [pair for a, b in zip(left, right) for pair in zip(a[1:], b[1:])]
    if is_same and all(close(a, b) for a, b in pairs):
        return ""
    return f"{have} at {ours[0]}, Prometheus has {want}"
