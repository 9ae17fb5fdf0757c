"""Is deploy/compose.yaml what docker compose takes, and does it fit what is here?

No container is started: what it names (files, ports, services, health) is there or not. Keys are
those of the Compose specification that this file needs; another one is a slip, or to be added here.
"""

import json
import pathlib
import re
import tomllib

import yaml

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TOP = {"name", "services", "volumes"}
SERVICE = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "init",
    "network_mode", "ports", "read_only", "restart", "security_opt", "stop_grace_period", "volumes",
}
HEALTH = {"test", "interval", "timeout", "retries", "start_period"}
# A mount, and what the service sees of it.
MOUNT = re.compile(r"^(?P<source>[^:]+):(?P<target>/[^:]*)(:ro)?$")

compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
services = compose["services"]
assert set(compose) <= TOP, set(compose) - TOP


def mounts(name):
    """Each path inside of a service's container with the file or folder here that it is."""
    for volume in services[name].get("volumes", []):
        mount = MOUNT.match(volume)
        assert mount, f"{name}: {volume}"
        source = mount["source"]
        if source.startswith("."):
            path = (DEPLOY / source).resolve()
            assert path.exists(), f"{name}: there is no {source}"
            assert volume.endswith(":ro"), f"{name}: {source} could be written to"
            yield mount["target"], path
        else:
            assert source in compose["volumes"], f"{name}: volume {source} is not declared"


def seen(name, path):
    """What a service finds at a path in its container."""
    for target, source in mounts(name):
        if path == target:
            return source
        if path.startswith(target + "/"):
            return source / path[len(target) + 1 :]
    raise AssertionError(f"{name} has nothing at {path}")


def check_services():
    for name, service in services.items():
        assert set(service) <= SERVICE, f"{name}: {set(service) - SERVICE}"
        assert "image" in service, name
        list(mounts(name))
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is not on loopback only"
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, f"{name}: {how}"
            assert "healthcheck" in services[other], f"{name} waits for {other} for ever"
        health = service.get("healthcheck")
        if name == "gateway":
            # Its image has nothing to ask with; who shares its network does.
            assert services["ready"]["network_mode"] == "service:gateway"
            continue
        assert health and set(health) <= HEALTH and health["test"][0] == "CMD", name
    assert {"gateway", "redis", "prometheus", "grafana"} <= set(services)


def check_gateway():
    command = services["gateway"]["command"]
    config = tomllib.loads(seen("gateway", command[command.index("--config") + 1]).read_text())
    admin = config["server"]["admin"].split(":")[1]
    listens = [address.split(":")[1] for address in config["server"]["listen"]]
    published = [port.split(":")[2] for port in services["gateway"]["ports"]]
    assert published == [*listens, admin], published
    assert services["ready"]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{admin}/readyz"
    assert config["shared"]["redis"] == "redis://redis:6379"
    secrets = set(re.findall(r'env = "(\w+)"', str(seen("gateway", "/etc/spafe/spafe.toml").read_text())))
    assert secrets <= set(services["gateway"]["environment"]), secrets
    return admin


def check_prometheus(admin):
    file = seen("prometheus", "/etc/prometheus/prometheus.yml")
    config = yaml.safe_load(file.read_text())
    for rules in config["rule_files"]:
        assert seen("prometheus", f"/etc/prometheus/{rules}").is_file(), rules
    names = {path.name for path in (ROOT / "dashboards").glob("*.yml")}
    assert {pathlib.Path(rules).name for rules in config["rule_files"]} == names, names
    targets = [target for job in config["scrape_configs"] for target in job["static_configs"][0]["targets"]]
    assert targets == [f"gateway:{admin}"], targets
    return config["global"]["scrape_interval"]


def check_grafana(interval):
    sources = yaml.safe_load(
        seen("grafana", "/etc/grafana/provisioning/datasources/spafe.yml").read_text()
    )["datasources"]
    assert [source["type"] for source in sources] == ["prometheus"]
    assert sources[0]["url"] == "http://prometheus:9090" and sources[0]["isDefault"]
    assert sources[0]["jsonData"]["timeInterval"] == interval
    providers = yaml.safe_load(
        seen("grafana", "/etc/grafana/provisioning/dashboards/spafe.yml").read_text()
    )["providers"]
    folder = seen("grafana", providers[0]["options"]["path"])
    found = {json.loads(path.read_text())["uid"] for path in folder.glob("*.json")}
    assert "spafe-overview" in found, found
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert seen("grafana", home).is_file(), home


check_services()
check_grafana(check_prometheus(check_gateway()))
