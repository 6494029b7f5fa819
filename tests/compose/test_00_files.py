"""What the files of the deployment say, before anything is started."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.system import ROOT, SERVICES

if TYPE_CHECKING:
    from tests.compose.containers import Containers

DEPLOY = ROOT / "deploy"
ALERTS = (
    "BandungDown",
    "BandungOutboxOld",
    "BandungConsumerLag",
    "BandungDeadLetters",
    "BandungErrors",
    "BandungSlow",
    "BandungWebhooksFailing",
    "BandungEngineFailing",
    "BandungDatabasePoolFull",
    "BandungLoopLag",
)
FOREIGN = re.compile(r"bandung_spans_\w+")
"""Made by the collector from spans, not by a service."""


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


def expressions() -> list[str]:
    """Every query of the alerts and of the dashboard."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "bandung.json").read_text())
    return [rule["expr"] for rule in rules()] + [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]


@pytest.mark.parametrize("profiles", ["", "observability", "demo", "observability,demo"])
def test_the_compose_file_is_clean_for_every_profile(profiles: str, stack: Containers) -> None:
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=ROOT,
        env=stack.env | {"COMPOSE_PROFILES": profiles},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = set(json.loads(done.stdout)["services"])
    assert set(SERVICES) <= found
    assert ("prometheus" in found, "mailpit" in found) == ("observability" in profiles, "demo" in profiles)


def test_nothing_is_published_beyond_loopback_in_any_profile(stack: Containers) -> None:
    document = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    ports = {name: service.get("ports", []) for name, service in document["services"].items()}
    hosts = {port["host_ip"] for found in ports.values() for port in found}
    assert hosts == {"127.0.0.1"}
    assert not ports["postgres"]


def test_every_container_gives_up_what_it_does_not_need(stack: Containers) -> None:
    document = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    for name, service in document["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["pids_limit"] > 0, name
        assert service.get("read_only") is True or name == "kafka", name
        assert "max-size" in service["logging"]["options"], name


def test_every_alert_has_its_section_and_is_of_the_wanted_kind() -> None:
    sections = re.findall(r"^## (\w+)$", (DEPLOY / "alerts.md").read_text(), re.MULTILINE)
    assert [rule["alert"] for rule in rules()] == sections
    assert set(ALERTS) <= set(sections)
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"deploy/alerts.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]


def test_every_metric_that_alerts_and_dashboard_name_is_there(stack: Containers) -> None:
    """Asked of the running services, by the internal address that Prometheus uses."""
    fetch = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())"
    told = "".join(
        stack.compose("exec", "-T", "registry", "python", "-c", fetch, f"http://{service}:9100/metrics")
        for service in SERVICES
    )
    known = set(re.findall(r"^# HELP (bandung_\w+)", told, re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}
    wanted = {name for expression in expressions() for name in re.findall(r"bandung_\w+", expression)}
    missing = {name for name in wanted if not FOREIGN.fullmatch(name)} - known
    assert len(wanted) > 10
    assert not missing


@pytest.mark.parametrize(
    "words",
    [("check", "config", "deploy/prometheus/prometheus.yml"), ("test", "rules", "tests/compose/alerts.test.yml")],
)
def test_prometheus_takes_its_configuration_and_alerts_fire_when_they_should(words: tuple[str, ...]) -> None:
    """By Prometheus' own judge, where it is installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed here: rules and configuration were read as YAML only")
    done = subprocess.run([promtool, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_mounted_files_are_there() -> None:
    """Docker would make a folder in place of a file that is missing."""
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    mounts = [mount for service in document["services"].values() for mount in service.get("volumes", ())]
    own = [ROOT / mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(own) >= 5
    assert [path for path in own if not path.exists()] == []


def test_the_collector_and_grafana_files_agree_with_the_compose_file() -> None:
    collector = yaml.safe_load((DEPLOY / "otel" / "collector.yml").read_text())
    pipelines = collector["service"]["pipelines"]
    parts = {"receivers", "processors", "exporters"}
    known = {name for kind in (*parts, "connectors") for name in collector[kind]}
    assert {name for pipeline in pipelines.values() for kind in parts for name in pipeline.get(kind, ())} == known
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped}
    assert targets["bandung"] == [f"{service}:9100" for service in SERVICES]
    assert targets["traces"] == ["otel-collector:" + collector["exporters"]["prometheus"]["endpoint"].split(":")[1]]
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "bandung.json").read_text())
    assert {target["datasource"]["uid"] for p in dashboard["panels"] for target in p["targets"]} == {source["uid"]}
