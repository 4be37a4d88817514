"""What `gradus ask` and `gradus explain` do: one request to a running gateway, shown to a person; and what
other commands ask of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from router.words import usd

CONNECT_TIMEOUT_S = 5.0
DEFAULT_URL = "http://127.0.0.1:8080"
Url = Annotated[str, typer.Option(help="The gateway's address.", envvar="GRADUS_URL")]


class GatewayRefused(Exception):
    """No gateway there, or it answered with an error; the message says what to do."""


@dataclass(frozen=True, slots=True)
class There:
    """A running gateway, and the key to ask it with (``None``: it wants none)."""

    url: str
    key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.key is None else {"authorization": f"Bearer {self.key}"}

    @property
    def trust_env(self) -> bool:
        """No proxy stands before a gateway on this machine, whatever the environment says."""
        return httpx.URL(self.url).host not in ("127.0.0.1", "localhost", "::1")


def ask(console: Console, there: There, model: str, question: str, options: Mapping[str, Any]) -> None:
    """Stream the answer to the console, then a line of how it was found and what it cost.

    ``options`` is the request's ``gradus`` object.
    """
    body = {
        **_request(model, question, options),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    summary: Mapping[str, Any] = {}
    usage: Mapping[str, Any] = {}
    for chunk in _events(there, body):
        for choice in chunk.get("choices", ()):
            console.out(choice.get("delta", {}).get("content") or "", end="", highlight=False)
        summary = chunk.get("gradus") or summary
        usage = chunk.get("usage") or usage
    console.out("")
    console.print(_summary_line(summary, usage), style="dim", highlight=False, soft_wrap=True)
    if summary.get("notice"):
        console.print(str(summary["notice"]), style="yellow", highlight=False, markup=False, soft_wrap=True)


def explain(console: Console, there: There, model: str, question: str, options: Mapping[str, Any]) -> None:
    """Print the plan as a table: what would be done in each difficulty bin, at what price, and why."""
    plan = call(there, "POST", "/v1/gradus/explain", body=_request(model, question, options))["plan"]
    stages = plan["stages"]
    if stages[-1]["samples"]:
        counts = ", then ".join(str(stage["samples"]) for stage in stages)
        console.print(
            f"probe: {counts} samples of {plan['small']} scored by {plan['verifier']}, "
            f"about {_usd(plan['probe_cost_usd'])}; then, by how likely one sample is right:"
        )
    table = Table(show_lines=False)
    for heading in (
        "samples",
        "difficulty",
        "route",
        "model",
        "strategy",
        "P(right)",
        "expected cost",
        "worst case",
    ):
        table.add_column(heading, overflow="fold")
    branches = [(stage, branch) for stage in stages for branch in stage["branches"]]
    for stage, branch in branches:
        chosen = branch["chosen"]
        table.add_row(
            str(stage["samples"]),
            _difficulty(branch),
            chosen["route"],
            chosen["model"],
            f"{chosen['strategy']['name']} x{chosen['strategy']['samples']}",
            f"{chosen['accuracy']:.2f} {chosen['accuracy_source']}",
            _usd(chosen["expected_cost_usd"]),
            _usd(chosen["worst_case_cost_usd"]),
        )
    console.print(table)
    for _stage, branch in branches:
        console.print(branch["reason"], style="dim", highlight=False, markup=False, soft_wrap=True)
    ways = [way for _stage, branch in branches for way in (branch["chosen"], *branch["rejected"])]
    unknown = dict.fromkeys(way["model"] for way in ways if way["expected_latency_s"] is None)
    if unknown:
        console.print(f"latency unknown: {', '.join(unknown)}", style="dim", highlight=False, markup=False)
    console.print(
        f"expected {_usd(plan['expected_cost_usd'])}, at worst {_usd(plan['worst_case_cost_usd'])}; "
        "nothing was generated"
    )


def call(
    there: There,
    method: str,
    path: str,
    params: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the gateway answers. Raises :class:`GatewayRefused`."""
    try:
        answer = httpx.request(
            method,
            f"{there.url}{path}",
            params=params,
            json=body,
            headers=there.headers,
            timeout=30.0,
            trust_env=there.trust_env,
        )
    except httpx.HTTPError as error:
        raise _unreachable(there.url, error) from error
    if answer.is_error:
        raise _refused(answer)
    found: dict[str, Any] = answer.json()
    return found


def _difficulty(branch: Mapping[str, Any]) -> str:
    """The range of P(right), and the bin if it is one."""
    if (branch["above"], branch["up_to"]) == (0, 1):
        return "any"
    name = branch["difficulty_bin"]
    return f"{branch['above']:g} to {branch['up_to']:g}" + (f" ({name.replace('_', ' ')})" if name else "")


def _request(model: str, question: str, options: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}]}
    return {**body, "gradus": dict(options)} if options else body


def _events(there: There, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
    try:
        with httpx.stream(
            "POST",
            f"{there.url}/v1/chat/completions",
            json=body,
            headers=there.headers,
            timeout=timeout,
            trust_env=there.trust_env,
        ) as answer:
            if answer.is_error:
                answer.read()
                raise _refused(answer)
            for line in _lines(answer.iter_bytes()):
                if line.startswith(b"data: ") and line != b"data: [DONE]":
                    event = json.loads(line.removeprefix(b"data: "))
                    if "error" in event:
                        raise GatewayRefused(event["error"]["message"])
                    yield event
    except httpx.HTTPError as error:
        raise _unreachable(there.url, error) from error


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines end at newlines only: JSON may hold what Unicode also calls a line end."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest


def _summary_line(summary: Mapping[str, Any], usage: Mapping[str, Any]) -> str:
    parts = [
        f"{summary.get('route')} ({summary.get('model')})",
        f"difficulty {summary['bin']}" if summary.get("bin") else None,
        f"{summary.get('strategy')} x{summary.get('samples')}" if summary.get("strategy") else None,
        f"{usage.get('total_tokens')} tokens" if usage else None,
        _usd(summary.get("cost_usd")),
        f"{summary['latency_s']['total']:.2f} s"
        if summary.get("latency_s", {}).get("total") is not None
        else None,
    ]
    return " · ".join(part for part in parts if part)


def _usd(amount: str | None) -> str:
    return usd(None if amount is None else Decimal(amount))


def _unreachable(url: str, error: httpx.HTTPError) -> GatewayRefused:
    return GatewayRefused(
        f"no gateway answers at {url} ({error}); start one with `gradus up`, or name another with --url"
    )


def _refused(answer: httpx.Response) -> GatewayRefused:
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = answer.text[:200]
    return GatewayRefused(f"{answer.status_code}: {message}")
