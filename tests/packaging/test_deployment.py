"""The files that people deploy with, against the schemas of those who read them and against what the bot promises."""

import configparser
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from bot.app.wiring import SHUTDOWN_SECONDS
from bot.config import Settings
from tests.packaging.containerfile import ROOT, is_in_context, sources, stages

DATA = ROOT / "tests/data"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((ROOT / "docs/deploy/kubernetes.yaml").read_text()))
UNIT = ROOT / "docs/deploy/turso-rotate.service"
LINUX = [f"manylinux_2_{minor}_{{}}" for minor in range(5, 42)] + ["manylinux2014_{}"]


class TestImage:
    def test_it_takes_what_is_there_and_no_secret(self) -> None:
        taken = [source for step in stages()[0] if step.word == "COPY" for source in sources(step)]
        secret = [
            ".env", "bot.env", "bot/.env", "bot/deep/bot.env", ".git/config", "turso-rotate.db", "bot/rotations.db",
            "bot/rotations.db-wal", "tests/conftest.py", "dist/turso_rotate.whl", "bot/__pycache__/app.pyc",
        ]  # fmt: skip

        assert [source for source in taken if not (ROOT / source).exists()] == []
        assert [source for source in taken if not is_in_context(source)] == []
        assert [path for path in secret if is_in_context(path)] == []
        assert is_in_context("bot/slack/replies.py")

    def test_it_runs_the_bot_as_a_number_that_is_not_root(self) -> None:
        build, final = stages()
        told = dict(final)

        assert told["USER"] == "10001:10001"
        assert (json.loads(told["ENTRYPOINT"]), json.loads(told["CMD"])) == (["turso-rotate"], ["serve"])
        assert told["STOPSIGNAL"] == "SIGTERM"
        assert [step.rest for step in final if step.word == "COPY"] == [
            "--from=build /opt/turso-rotate /opt/turso-rotate"
        ]
        assert build[0].rest.removesuffix(" AS build") == final[0].rest

    @pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
    def test_everything_it_installs_is_locked_as_a_wheel(self, machine: str) -> None:
        python = image_python()
        platforms = [each.format(machine) for each in LINUX]
        usable = {*cpython_tags(python, platforms=platforms), *compatible_tags(python, platforms=platforms)}
        missing = [
            package["name"]
            for package in locked()
            if not any(usable & parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] for wheel in package["wheels"])
        ]

        assert missing == []


class TestCompose:
    def test_its_schema_accepts_it(self) -> None:
        schema = json.loads((DATA / "compose-spec.schema.json").read_text())

        jsonschema.Draft202012Validator(schema).validate(COMPOSE)

    @pytest.mark.parametrize("name", COMPOSE["services"])
    def test_no_service_has_more_rights_than_it_needs(self, name: str) -> None:
        service = COMPOSE["services"][name]

        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "cap_add" not in service
        assert "ports" not in service
        assert service.get("user") == ("postgres" if "postgres:" in service["image"] else None)

    def test_each_service_knows_only_its_own_secrets(self) -> None:
        told = {name: json.dumps(service) for name, service in COMPOSE["services"].items()}

        assert {name for name, text in told.items() if "OWNER_PASSWORD" in text} == {"database", "migrate", "role"}
        assert {name for name, text in told.items() if "BOT_PASSWORD" in text} == {"role", "bot"}
        assert {name for name, text in told.items() if "bot.env" in text} == {"bot"}
        assert {name for name, service in COMPOSE["services"].items() if "outside" in service["networks"]} == {"bot"}

    def test_the_bot_connects_as_the_role_that_the_script_makes(self) -> None:
        services = COMPOSE["services"]
        script = (ROOT / "docs/postgresql-role.sql").read_text()
        documented = re.findall(r"--(?:set|single|file)[^ ]*", script)[:3]

        assert services["role"]["volumes"] == ["./docs/postgresql-role.sql:/role.sql:ro"]
        assert services["role"]["entrypoint"][-3:] == [*documented[:2], "--file=/role.sql"]
        assert "\\set bot turso_rotate_bot\n" in script
        assert services["bot"]["environment"]["DATABASE_URL"].startswith("postgresql://turso_rotate_bot:")

    def test_the_bot_waits_for_its_tables_and_its_role_and_has_time_to_stop(self) -> None:
        services = COMPOSE["services"]
        done = "service_completed_successfully"

        assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
        assert services["role"]["depends_on"] == {"migrate": {"condition": done}}
        assert services["bot"]["depends_on"] == {"role": {"condition": done}}
        assert int(services["bot"]["stop_grace_period"].removesuffix("s")) > SHUTDOWN_SECONDS
        assert re.fullmatch(r"docker\.io/library/postgres:\d+", services["database"]["image"])


class TestKubernetes:
    @pytest.mark.parametrize("resource", KUBERNETES, ids=lambda resource: resource["kind"])
    def test_its_schema_accepts_every_resource(self, resource: dict[str, Any]) -> None:
        jsonschema.Draft202012Validator(kubernetes_schema(resource)).validate(resource)

    def test_a_word_that_it_does_not_know_is_found(self) -> None:
        deployment = json.loads(json.dumps(resource_of("Deployment")))
        deployment["spec"]["template"]["spec"]["terminationGraceSeconds"] = 40

        with pytest.raises(jsonschema.ValidationError, match="terminationGraceSeconds"):
            jsonschema.Draft202012Validator(kubernetes_schema(deployment)).validate(deployment)

    @pytest.mark.parametrize("kind", ["Deployment", "Job"])
    def test_its_pods_meet_the_restricted_standard(self, kind: str) -> None:
        pod = resource_of(kind)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        account = dict(stages()[1])["USER"].split(":")

        assert pod["securityContext"]["runAsNonRoot"] is True
        assert [str(pod["securityContext"][name]) for name in ("runAsUser", "runAsGroup")] == account
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "volumes" not in pod

    def test_pods_are_found_by_what_selects_them_and_have_time_to_stop(self) -> None:
        template = resource_of("Deployment")["spec"]["template"]
        (container,) = template["spec"]["containers"]
        labels, pause = template["metadata"]["labels"], container["lifecycle"]["preStop"]["sleep"]["seconds"]
        probes = {each: container[f"{each}Probe"]["httpGet"]["path"] for each in ("startup", "liveness", "readiness")}

        assert resource_of("Deployment")["spec"]["selector"]["matchLabels"] == labels
        assert resource_of("Service")["spec"]["selector"] == labels
        assert resource_of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
        assert template["spec"]["terminationGracePeriodSeconds"] > pause + SHUTDOWN_SECONDS
        assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


def test_the_unit_lets_rotations_finish_and_does_not_restart_what_a_restart_cannot_mend() -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign] # typeshed takes it for a method
    unit.read(UNIT)
    service = unit["Service"]

    assert float(service["TimeoutStopSec"]) > SHUTDOWN_SECONDS
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
    assert (service["StateDirectory"], service["StateDirectoryMode"]) == ("turso-rotate", "0700")
    assert service["ExecStart"].split()[1:] == ["serve", "--migrate"]


def test_the_example_names_settings_that_exist_and_all_that_are_required() -> None:
    example = (ROOT / "docs/deploy/env.example").read_text()
    named = {name.lower() for name in re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE)}
    set_there = {name.lower() for name in re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)}

    assert named <= set(Settings.model_fields)
    assert {name for name, field in Settings.model_fields.items() if field.is_required()} <= set_there


def test_the_manifest_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    named = re.findall(r"/turso-rotate:([\d.]+\d)", (ROOT / "docs/deploy/kubernetes.yaml").read_text())

    assert named == [version] * 3


def image_python() -> tuple[int, int]:
    found = re.search(r"^ARG PYTHON=3\.(\d+)-slim", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return 3, int(found[1])


def locked() -> Iterator[Mapping[str, Any]]:
    """List what the lock file installs to run the bot, and what builds it; the extra of the image included."""
    packages = {package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    bot = packages["turso-rotate"]
    waiting = [*bot["dependencies"], *bot["dev-dependencies"]["build"], *bot["optional-dependencies"].get("otel", ())]
    seen = set()
    while waiting:
        name = waiting.pop()["name"]
        if name not in seen:
            seen.add(name)
            waiting += packages[name].get("dependencies", ())
            yield packages[name]


def kubernetes_schema(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the definition of a resource: apps/v1 Deployment is io.k8s.api.apps.v1.Deployment."""
    definitions = json.loads((DATA / "kubernetes.schema.1.37.0.json").read_text())
    group, _, version = resource["apiVersion"].rpartition("/")
    name = f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{resource['kind']}"
    return {**definitions, "$ref": f"#/$defs/{name}"}


def resource_of(kind: str) -> dict[str, Any]:
    return next(dict(resource) for resource in KUBERNETES if resource["kind"] == kind)
