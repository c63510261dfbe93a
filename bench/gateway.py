#!/usr/bin/env python3
"""What Gantry's LLM gateway, LiteLLM's proxy and Portkey's gateway add to calls of a model provider: latency, CPU and memory.

Run by `./dev bench gateway`. Prints Markdown tables; `--write` puts them into docs/benchmarks.md.
"""

import argparse
import dataclasses
import datetime
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

from peers import Gantry, Peer, machine, wait_until_steady

MODEL = "bench"


@dataclasses.dataclass(frozen=True)
class Shape:
    """Calls of one kind, at several rates."""

    title: str
    is_stream: bool
    prompt_bytes: int
    rates: list[int]  # Requests per second, rising.


class Provider:
    """The upstream of all: a program of ours that answers at a fixed pace."""

    name = "direct"
    headers: list[str] = []
    model = MODEL

    def __init__(self, program: str, options):
        command = [program, "--delay-ms", str(options.delay_ms), "--chunks", str(options.chunks), "--interval-ms", str(options.interval_ms)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{json.loads(self.process.stdout.readline())['port']}/v1"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class GantryGateway(Gantry):
    """Everything on: the key is looked up, its budget and its rates are kept, and each call becomes a trace in the stack's store."""

    model = f"bench/{MODEL}"

    def __init__(self, directory: pathlib.Path, provider: Provider):
        super().__init__(directory)
        self.provider = provider
        self.headers = []

    def command(self):
        config = self.directory.parent / "gantry.yaml"
        config.write_text(f"""
egress: {{allow: [127.0.0.1]}}
gateway:
  enabled: true
  providers:
    - slug: local
      base_url: {self.provider.url}
      keys: [{{secret: "env:BENCH_PROVIDER_KEY"}}]
      max_concurrent: 4096
  models:
    - id: {self.model}
      pricing: {{prompt: "0.0000025", completion: "0.00001"}}
      endpoints: [{{provider: local, model: {MODEL}}}]
""")
        return super().command() + ["--config", str(config)]

    def environment(self):
        return super().environment() | {"BENCH_PROVIDER_KEY": "sk-bench"}

    def prepare(self) -> None:
        first = json.loads((self.directory / "first-start.json").read_text())
        settings = {"name": "bench", "limit": 1_000_000, "limit_reset": "daily", "rpm": 10**9, "tpm": 10**12, "max_concurrent": 10**6}
        request = urllib.request.Request(self.url + "/api/v1/keys", json.dumps(settings).encode(), {
            "Authorization": f"Bearer {first['admin_token']}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.headers = [f"Authorization: Bearer {json.load(answer)['key']}"]

    def check(self) -> None:
        found = json.loads(self.get("/tempo/api/search", {"q": '{ span.gen_ai.operation.name = "chat" }', "limit": 1}))
        if not found["traces"]:
            raise RuntimeError("gantry made no traces of the calls")


class LiteLlm(Peer):
    """With the key checked; without a database, which its budgets and its log of calls need."""

    name = "litellm"
    binary = None
    model = MODEL
    headers = ["Authorization: Bearer sk-bench"]

    def __init__(self, directory: pathlib.Path, provider: Provider):
        super().__init__(directory)
        self.provider = provider

    def command(self):
        config = self.directory.parent / "litellm.yaml"
        config.write_text(f"""
model_list:
  - model_name: {MODEL}
    litellm_params: {{model: openai/{MODEL}, api_base: "{self.provider.url}", api_key: sk-bench}}
general_settings: {{master_key: sk-bench}}
litellm_settings: {{num_retries: 0}}
""")
        # A worker that is still loading its modules after 5 s would be ended and begun again, for ever on a slow machine.
        return [self.binary, "--config", str(config), "--host", "127.0.0.1", "--port", str(self.port),
                "--num_workers", str(os.cpu_count()), "--timeout_worker_healthcheck", "60"]

    def environment(self):
        # The table of prices that comes with it, instead of the newest from the network.
        return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}

    def ready_path(self):
        return "/health/liveliness"

    def version(self):
        python = pathlib.Path(self.binary).with_name("python")
        program = "import importlib.metadata as m; print(m.version('litellm'))"
        return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()

    def prepare(self) -> None:
        pass

    def check(self) -> None:
        pass


class Portkey(Peer):
    """It has no keys of its own: the client's goes to the provider."""

    name = "portkey"
    binary = None
    model = MODEL

    def __init__(self, directory: pathlib.Path, provider: Provider):
        super().__init__(directory)
        self.headers = ["Authorization: Bearer sk-bench", "x-portkey-provider: openai", f"x-portkey-custom-host: {provider.url}"]

    def command(self):
        return [self.binary, "--headless", f"--port={self.port}"]

    def environment(self):
        return {"NODE_ENV": "production"}

    def ready_path(self):
        return "/"

    def version(self):
        return json.loads((pathlib.Path(self.binary).resolve().parents[1] / "package.json").read_text())["version"]

    def prepare(self) -> None:
        pass

    def check(self) -> None:
        pass


GATEWAYS = (GantryGateway, LiteLlm, Portkey)


def load(target, shape: Shape, rate: int, seconds: int, options) -> dict:
    base = target.url if target.url.endswith("/v1") else target.url + "/v1"
    command = [options.load, "--url", f"{base}/chat/completions", "--model", target.model, "--rate", str(rate), "--seconds", str(seconds),
               "--drain-seconds", "5", "--stream", str(int(shape.is_stream)), "--expect-chunks", str(options.chunks), "--prompt-bytes", str(shape.prompt_bytes),
               "--headers", "\n".join(target.headers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{target.name}: {done.stderr}")
    if done.stderr:
        print(f"{target.name}, {shape.title}, {rate}/s: {done.stderr.strip()}", flush=True)
    return json.loads(done.stdout)


def measured_load(gateway: Peer, shape: Shape, rate: int, options) -> dict:
    before = gateway.cpu_seconds()
    result = load(gateway, shape, rate, options.seconds, options)
    time.sleep(0.5)  # What a call leaves to be done after its answer.
    result["cpu_seconds"] = gateway.cpu_seconds() - before
    return result


def keeps_up(run: dict) -> bool:
    return run["answered"] >= 0.99 * run["measured"]


def keeps_up_always(pairs: list[tuple[dict, dict]]) -> bool:
    return all(keeps_up(through) for _, through in pairs)


def measure_shape(gateway: Peer, provider: Provider, shape: Shape, options) -> dict[int, list[tuple[dict, dict]]]:
    """For each rate pairs of runs: the provider asked directly, then through the gateway. Once it does not keep up with a rate,
    higher ones are left out."""
    pairs: dict[int, list[tuple[dict, dict]]] = {}
    load(gateway, shape, 50, 3, options)  # Whatever a program does only at first.
    for rate in shape.rates:
        pairs[rate] = []
        for _ in range(options.rounds):
            direct = load(provider, shape, rate, options.seconds, options)
            pairs[rate].append((direct, measured_load(gateway, shape, rate, options)))
            if not keeps_up(pairs[rate][-1][1]):
                wait_until_steady(gateway)
                return pairs
    return pairs


def measure(kind, provider: Provider, shapes: list[Shape], options) -> dict:
    with tempfile.TemporaryDirectory(prefix=f"bench-{kind.name}-", dir="build") as directory:
        home = pathlib.Path(directory).resolve() / "data"
        home.mkdir()
        gateway = kind(home, provider)
        try:
            result = {"ready_seconds": gateway.start(), "version": gateway.version()}
            gateway.prepare()
            result["rest_mib"] = gateway.memory_mib("VmRSS")
            result["shapes"] = [measure_shape(gateway, provider, shape, options) for shape in shapes]
            result["rss_mib"] = gateway.memory_mib("VmRSS")
            result["peak_mib"] = gateway.memory_mib("VmHWM")
            gateway.check()
        finally:
            gateway.stop()
            shutil.copy(home.parent / f"{kind.name}.log", f"build/bench-gateway-{kind.name}.log")
    pathlib.Path(f"build/bench-gateway-{kind.name}.json").write_text(json.dumps(result, indent=1))
    print(f"{kind.name}: {json.dumps({k: v for k, v in result.items() if k != 'shapes'})}", flush=True)
    return result


def added_values(pairs: list[tuple[dict, dict]], what: str, share: str) -> list[float]:
    """The difference between the two runs of each pair, in ms."""
    return [through[what][share] - direct[what][share] for direct, through in pairs if direct[what] and through[what]]


def added(pairs: list[tuple[dict, dict]], what: str, share: str) -> str:
    """The median of all pairs, and the least and the greatest."""
    values = added_values(pairs, what, share)
    if not values:
        return "-"
    return f"{statistics.median(values):+.2f} ({min(values):+.2f} to {max(values):+.2f})"


def middle(runs: list[dict], what: str, share: str) -> str:
    values = [run[what][share] for run in runs if run[what]]
    return f"{statistics.median(values):.2f}" if values else "-"


def answered(runs: list[dict]) -> str:
    return f"{100 * sum(run['answered'] for run in runs) / sum(run['measured'] for run in runs):.1f} %"


def cpu_ms(runs: list[dict]) -> float:
    return 1000 * sum(run["cpu_seconds"] for run in runs) / sum(run["sent"] for run in runs)


def latencies(results: dict, shape: Shape, number: int) -> list[str]:
    """The table of one shape, which is that number in the results."""
    whats = [("first_byte_ms", "first byte"), ("chunk_ms", "chunk")] if shape.is_stream else [("total_ms", "answer")]
    shares = ["p50", "p99"]
    titles = [f"{title}, {share}" for _, title in whats for share in shares]
    lines = ["| requests per second | | answered | " + " | ".join(titles) + " | CPU per request, ms |",
             "| ---: | --- |" + " ---: |" * (len(titles) + 2)]
    for rate in shape.rates:
        direct = [pair[0] for result in results.values() for pair in result["shapes"][number].get(rate, [])]
        if direct:
            cells = [middle(direct, what, share) for what, _ in whats for share in shares]
            lines.append(f"| {rate} | the provider itself | {answered(direct)} | " + " | ".join(cells) + " | |")
        for name, result in results.items():
            pairs = result["shapes"][number].get(rate)
            if not pairs:
                lines.append(f"| {rate} | {name} | did not keep up with less |" + " |" * (len(titles) + 1))
                continue
            through = [pair[1] for pair in pairs]
            cells = [added(pairs, what, share) for what, _ in whats for share in shares]
            lines.append(f"| {rate} | {name} | {answered(through)} | " + " | ".join(cells) + f" | {cpu_ms(through):.3f} |")
    return lines


def costs(pairs: list[tuple[dict, dict]], shape: Shape) -> list[float]:
    """What a gateway adds: p50 and p99 in ms (up to the first byte of a stream), CPU per request in ms."""
    what = "first_byte_ms" if shape.is_stream else "total_ms"
    medians = [statistics.median(added_values(pairs, what, share) or [math.nan]) for share in ("p50", "p99")]
    return [*medians, cpu_ms([pair[1] for pair in pairs])]


def ratio(theirs: float, ours: float) -> str:
    # A difference of two runs that is lost in their scatter has no ratio.
    return f"{theirs / ours:.1f}" if theirs > 0 and ours >= 0.01 else "-"


def ratios(results: dict, shapes: list[Shape]) -> list[str]:
    """How many times what Gantry adds each of the others adds."""
    others = [name for name in results if name != "gantry"]
    if "gantry" not in results or not others:
        return []
    titles = [f"{name}, {what}" for name in others for what in ("p50", "p99", "CPU")]
    lines = ["", "What the others add, as a multiple of what Gantry adds (streams: up to the first byte; `-`: too little was added to tell, or the gateway did "
             "not keep up):", "",
             "| | requests per second | " + " | ".join(titles) + " |", "| --- | ---: |" + " ---: |" * len(titles)]
    for number, shape in enumerate(shapes):
        for rate in shape.rates:
            ours = results["gantry"]["shapes"][number].get(rate)
            cells = []
            for name in others:
                theirs = results[name]["shapes"][number].get(rate)
                has_both = ours and theirs and keeps_up_always(theirs) and keeps_up_always(ours)
                cells += [ratio(a, b) for a, b in zip(costs(theirs, shape), costs(ours, shape))] if has_both else ["-"] * 3
            lines.append(f"| {shape.title} | {rate} | " + " | ".join(cells) + " |")
    return lines


def lateness(results: dict) -> str:
    late = [run["late_ms"]["p99"] for result in results.values() for pairs in result["shapes"] for runs in pairs.values() for pair in runs
            for run in pair]
    return f"{statistics.median(late):.2f} ms (at worst {max(late):.2f})"


def report(results: dict, shapes: list[Shape], options) -> str:
    names = list(results)
    pace = f"after {options.delay_ms} ms" if options.delay_ms else "at once"
    lines = [
        f"Measured on {datetime.date.today().isoformat()}: {machine()}; generator, provider and gateway on the same machine. The provider answers "
        f"{pace}: 2 KB, or a stream of {options.chunks} chunks, one each {options.interval_ms} ms. {options.rounds} pairs of runs of "
        f"{options.seconds} s each. The 99th percentile of how late the generator itself was: {lateness(results)}.",
        "", "Versions: " + "; ".join(f"{n}: {results[n]['version']}" for n in names) + ".", "",
        "| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]

    def row(title, key, digits):
        lines.append(f"| {title} | " + " | ".join(f"{results[n][key]:.{digits}f}" for n in names) + " |")

    row("ready after start, seconds", "ready_seconds", 2)
    row("resident memory before the first call, MiB", "rest_mib", 0)
    row("resident memory after the last, MiB", "rss_mib", 0)
    row("peak memory, MiB", "peak_mib", 0)
    lines += ratios(results, shapes)
    for number, shape in enumerate(shapes):
        lines += ["", f"{shape.title}, prompt of {shape.prompt_bytes} bytes; ms:", ""] + latencies(results, shape, number)
    return "\n".join(lines) + "\n"


def chosen(options) -> list:
    """The gateways to measure; says which are left out, and why."""
    kinds = []
    for kind in GATEWAYS:
        if options.only and kind.name not in options.only.split(","):
            continue
        if kind.binary and os.access(kind.binary, os.X_OK):
            kinds.append(kind)
        else:
            print(f"{kind.name} is left out: " + (f"{kind.binary} is no program" if kind.binary else f"--{kind.name} does not say where it is"), flush=True)
    return kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gantry", required=True)
    parser.add_argument("--load", required=True, help="the load generator")
    parser.add_argument("--upstream", required=True, help="the program that plays the provider")
    parser.add_argument("--litellm", help="the program `litellm` of an installed litellm[proxy]")
    parser.add_argument("--portkey", help="the program `gateway` of an installed @portkey-ai/gateway")
    parser.add_argument("--rates", default="100,500,2000", help="requests per second, rising")
    parser.add_argument("--long-rates", default="100,500", help="the same for long prompts")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay-ms", type=int, default=0, help="of the provider, up to its first byte")
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--interval-ms", type=int, default=20)
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/benchmarks.md")
    options = parser.parse_args()
    GantryGateway.binary, LiteLlm.binary, Portkey.binary = options.gantry, options.litellm, options.portkey
    rates = [int(rate) for rate in options.rates.split(",")]
    shapes = [Shape("Whole answers", False, 1024, rates), Shape("Streams", True, 1024, rates),
              Shape("Whole answers to long prompts", False, 100_000, [int(rate) for rate in options.long_rates.split(",")])]
    if os.getloadavg()[0] > 0.5:
        print(f"This machine is busy (load average {os.getloadavg()[0]:.1f}): the figures will say little.", flush=True)
    provider = Provider(options.upstream, options)
    try:
        results = {kind.name: measure(kind, provider, shapes, options) for kind in chosen(options)}
    finally:
        provider.stop()
    if not results:
        raise SystemExit("nothing was measured")
    text = report(results, shapes, options)
    print(text)
    if options.write:
        path = pathlib.Path("docs/benchmarks.md")
        before, _, rest = path.read_text().partition("<!-- gateway -->\n")
        _, _, after = rest.partition("<!-- end of gateway -->\n")
        path.write_text(f"{before}<!-- gateway -->\n\n{text}\n<!-- end of gateway -->\n{after}")


if __name__ == "__main__":
    main()
