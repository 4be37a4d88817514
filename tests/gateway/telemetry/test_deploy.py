"""deploy/ has valid files, and asks for no metric that a gateway does not have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from gateway.telemetry.scraping import _drift
from router.drift import DriftStatus
from tests.gateway.doubles import ScriptedWorker

DEPLOY = Path(__file__).parents[3] / "deploy"
NAME = re.compile(r"\b(?:gradus|process)_[a-z_]+\b")


def expressions() -> list[str]:
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
    rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    return rules + [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_metric_of_dashboard_and_alerts_exists(
    client: openai.OpenAI, url: str, worker: ScriptedWorker
) -> None:
    """Those of drift need a predictor: they are asked for by themselves."""
    client.chat.completions.create(model="gradus", messages=[{"role": "user", "content": "What is 3 + 4?"}])
    text = httpx.get(f"{url}/metrics").text
    types = re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE)
    there = {f"{name}_bucket" if kind == "histogram" else name for name, kind in types}
    drift = _drift(DriftStatus(1, 1, 1.0, 1.0, 0.1, ()))
    there |= {each.name for each in drift}
    asked = {name for expression in expressions() for name in NAME.findall(expression)}

    assert len(asked) > 30
    assert asked - there == set()


@pytest.mark.parametrize("name", ["prometheus.yml", "alerts.yml"])
def test_files_for_prometheus_are_yaml(name: str) -> None:
    read = yaml.safe_load((DEPLOY / name).read_text("utf-8"))

    assert set(read) <= {"global", "rule_files", "scrape_configs", "groups"}


def test_every_alert_says_what_to_do() -> None:
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]

    assert all(rule["annotations"]["summary"] and rule["annotations"]["action"] for rule in rules)
    assert len({rule["alert"] for rule in rules}) == len(rules)


def test_panels_do_not_lie_on_each_other() -> None:
    panels = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)
