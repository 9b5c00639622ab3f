"""deploy/: what the compose file, the image and the script promise of secrets, addresses and data, without Docker."""

import os
import re
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
STEPS = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
SECRETS = ("PGPASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")


def variables() -> dict[str, str | None]:
    return {name: value for service in SERVICES.values() for name, value in service["environment"].items()}


def test_every_secret_is_required_from_outside_and_named_with_what_it_is() -> None:
    secret = {name: value for name, value in variables().items() if re.search("PASSWORD|SECRET|TOKEN|KEY", name)}
    required = {match[1] for value in secret.values() if value and (match := REQUIRED.fullmatch(value))}
    assert required == set(SECRETS)
    # The rest are those of S3, which are handed on where they are set.
    others = {name for name, value in secret.items() if not (value and REQUIRED.fullmatch(value))}
    assert others == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    assert {variables()[name] for name in others} == {None}


def test_only_mlflow_is_reached_and_from_this_machine_alone_unless_told() -> None:
    assert "ports" not in SERVICES["database"]
    assert SERVICES["mlflow"]["ports"] == ["${MLFLOW_HOST:-127.0.0.1}:${MLFLOW_PORT:-5000}:5000"]
    assert not {"network_mode", "privileged"} & {key for service in SERVICES.values() for key in service}


def test_what_is_to_stay_is_in_volumes() -> None:
    mounted = {word.partition(":")[0] for service in SERVICES.values() for word in service["volumes"]}
    assert mounted == set(COMPOSE["volumes"]) == {"database", "artifacts"}
    assert variables()["MLFLOW_ARTIFACTS_DESTINATION"] == "${MLFLOW_ARTIFACTS_DESTINATION:-/artifacts}"
    assert SERVICES["mlflow"]["depends_on"]["database"] == {"condition": "service_healthy"}


def test_the_image_has_locked_versions_no_secret_and_a_user_who_is_not_root() -> None:
    assert re.search(r"^FROM python:\d\.\d+-slim$", STEPS, re.MULTILINE)
    assert "--require-hashes --requirement /srv/requirements.lock" in STEPS
    assert re.search(r"^USER 1000$", STEPS, re.MULTILINE)
    assert not re.search("PASSWORD|SECRET|TOKEN", STEPS)
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", STEPS, re.MULTILINE) for word in line.split()}
    ignored = (DEPLOY / ".dockerignore").read_text(encoding="utf-8").split("\n", 1)[1].split()
    assert ignored == ["*", *(f"!{name}" for name in ("requirements.lock", "serve", "auth.ini"))]
    assert copied == {name.removeprefix("!") for name in ignored[1:]}


def test_users_are_in_the_database_of_the_environment_and_no_file_has_a_password() -> None:
    settings = ConfigParser()
    settings.read(DEPLOY / "auth.ini")
    assert settings["mlflow"]["database_uri"] == "postgresql+psycopg2://"
    assert not [name for name in settings["mlflow"] if name.startswith("admin")]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/deploy/.env", "/deploy/artifacts", "/deploy/.venv"} <= set(ignored)


@pytest.mark.parametrize("missing", SECRETS)
def test_nothing_is_served_without_a_secret(tmp_path: Path, missing: str) -> None:
    (tmp_path / "mlflow").write_text("#!/bin/sh\nenv\necho served $*\n", encoding="utf-8")
    (tmp_path / "mlflow").chmod(0o755)
    own = dict.fromkeys(SECRETS, "s3cret")
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def served(given: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([DEPLOY / "serve"], env=environment | given, capture_output=True, text=True, check=False)

    done = served({name: value for name, value in own.items() if name != missing})
    assert done.returncode == 1
    assert f"{missing}: is " in done.stderr
    assert done.stderr.endswith("and has no default\n")
    # And with all of them nothing of theirs is among its words.
    words = served(own).stdout.splitlines()
    assert words[-1] == "served server --app-name basic-auth"
    assert {"MLFLOW_HOST=127.0.0.1", "MLFLOW_BACKEND_STORE_URI=postgresql+psycopg2://"} <= set(words)
