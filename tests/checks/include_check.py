#!/usr/bin/env python3
"""Holds the sources to the architecture: a folder includes only folders above it, and third-party headers stay where they belong.

Usage: include_check.py [repository root]. Prints each violation as file:line and exits with 1.
"""

import pathlib
import re
import sys

# From the lowest to the highest; a folder may include itself and whatever stands before it.
FOLDERS = """core telemetry codec storage net promql traceql metrics traces state access pipeline broadcast collect
gateway apps api server cli""".split()

# Header prefix -> folders that may include it; ".cc" files and private "_internal.h" headers only, unless the header is listed
# in ALLOWED_IN_HEADERS.
THIRD_PARTY = {
    "boost/asio": ["net"],
    "boost/beast": ["net"],
    "boost/unordered": FOLDERS,
    "grpc": ["net"],
    "absl/": ["net"],
    "curl/": ["net"],
    "openssl/": ["core", "net", "access"],
    "sodium": ["core", "access", "cli"],
    "cjose/": ["access"],
    "CLI/": ["cli"],
    "nlohmann/": ["api", "access", "server", "cli", "net", "state"],
    "simdjson": ["codec", "pipeline", "broadcast", "gateway"],
    "protozero/": ["codec", "net"],
    "yaml-cpp/": ["server"],
    "sqlite3.h": ["state"],
    "libpq-fe.h": ["state"],
    "spdlog/": ["core"],
    "re2/": ["net", "promql", "traceql", "pipeline", "broadcast"],
    "zstd.h": ["codec", "storage", "metrics", "traces", "net"],
    "zlib.h": ["codec", "net"],
    "snappy": ["codec"],
    "xxhash.h": ["core"],
    "fmt/": FOLDERS,
    "jemalloc/": ["cli", "server"],
}
ALLOWED_IN_HEADERS = ("fmt/core.h",)
TEST_ONLY = ("gtest/", "gmock/", "rapidcheck", "nlohmann/")
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')


def is_test(path: pathlib.Path) -> bool:
    return path.name.endswith("_test.cc") or "testing" in path.parts


def is_public_header(path: pathlib.Path) -> bool:
    return path.suffix == ".h" and not path.name.endswith("_internal.h")


def check_file(root: pathlib.Path, path: pathlib.Path) -> list[str]:
    folder = path.relative_to(root / "src").parts[0]
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1)
        where = f"{path.relative_to(root)}:{number}"
        first = header.split("/")[0]
        if first in FOLDERS and (root / "src" / header).exists():
            if FOLDERS.index(first) > FOLDERS.index(folder):
                problems.append(f"{where}: {folder} may not include {header}: {first} is below it")
            continue
        if is_test(path) and header.startswith(TEST_ONLY):
            continue
        for prefix, allowed in THIRD_PARTY.items():
            if not header.startswith(prefix):
                continue
            if folder not in allowed:
                problems.append(f"{where}: {header} belongs to {', '.join(allowed)}, not to {folder}")
            elif is_public_header(path) and header not in ALLOWED_IN_HEADERS:
                problems.append(f"{where}: {header} may be included in .cc and _internal.h files only")
    return problems


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    sources = [p for p in sorted((root / "src").rglob("*")) if p.suffix in (".h", ".cc")]
    problems = [f"{p.relative_to(root)}: no such folder in the architecture" for p in sources
                if p.relative_to(root / "src").parts[0] not in FOLDERS]
    if not problems:
        problems = [problem for path in sources for problem in check_file(root, path)]
    print("\n".join(problems) if problems else f"includes of {len(sources)} files follow the architecture")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
