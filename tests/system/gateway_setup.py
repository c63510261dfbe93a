"""A Gantry with an LLM gateway in front of providers that a test scripts."""

import json
import pathlib
import typing

import requests

from broadcast_client import admin
from gantry_process import Gantry
from recording_upstream import Upstream

PROVIDER_SECRET = "sk-of-the-provider"
KEYS = "/api/v1/keys"


class Key(typing.NamedTuple):
    secret: str
    hash: str  # its public name


def provider(slug: str, upstream: Upstream, **settings) -> dict:
    """An entry of `providers`, with a key of its own."""
    return {"slug": slug, "base_url": upstream.url, "keys": [{"secret": "env:GATEWAY_TEST_SECRET"}]} | settings


def model(name: str, *providers: str, upstream_model: str | None = None, **settings) -> dict:
    """An entry of `models`: the providers call it as we do behind the slash, unless `upstream_model` says so."""
    upstream_model = upstream_model or name.partition("/")[2]
    return {"id": name, "endpoints": [{"provider": each, "model": upstream_model} for each in providers]} | settings


def make_gateway(directory: pathlib.Path, section: dict, **environment) -> Gantry:
    """Not started. It may contact this machine, so that providers and destinations can be on it."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "gantry.yaml"
    config.write_text(json.dumps({"gateway": {"enabled": True} | section}, indent=1))  # JSON is YAML
    environment = {"GANTRY_EGRESS_ALLOW": "127.0.0.1", "GATEWAY_TEST_SECRET": PROVIDER_SECRET} | environment
    return Gantry(directory / "data", environment=environment, arguments=["--config", str(config)])


def make_key(gantry: Gantry, name: str = "production", **settings) -> Key:
    answer = requests.post(gantry.url + KEYS, json={"name": name} | settings, headers=admin(gantry), timeout=30)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return Key(made["key"], made["data"]["hash"])
