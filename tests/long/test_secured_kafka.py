"""A Kafka that wants TLS and a login: all services reach it, and say why where they may not."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from embedded.servers import jars, kafka
from embedded.settings import StackSettings
from tests.chaos.feed import CsvFile
from tests.chaos.stack import Part
from tests.support.ports import free_ports
from tests.support.product import until
from tests.support.stack import Stack, prepare, running

USER, PASSWORD = "crypto", "a word for Kafka"
ROWS = 3_000
PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},\\
  LOGIN://127.0.0.1:{login},CERTIFIED://127.0.0.1:{certified}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},LOGIN://localhost:{login},CERTIFIED://localhost:{certified}
controller.quorum.voters=1@127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL,CERTIFIED:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.certified.ssl.client.auth=required
listener.name.login.scram-sha-512.sasl.jaas.config=\\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.login.plain.sasl.jaas.config=\\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="secret";
"""


@dataclass
class SecuredKafka:
    """Its addresses, and what a client needs."""

    folder: Path
    login: str
    certified: str

    def settings(self, name: str) -> dict[str, str]:
        with_login = {
            "KAFKA_BOOTSTRAP_SERVERS": self.login,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_CA_FILE": str(self.folder / "ca.pem"),
            "KAFKA_USERNAME": USER,
        }
        return {
            "scram": {**with_login, "KAFKA_PASSWORD": PASSWORD},
            "plain": {
                **with_login,
                "KAFKA_SASL_MECHANISM": "PLAIN",
                "KAFKA_PASSWORD": "secret",
            },
            "certificate": {
                "KAFKA_BOOTSTRAP_SERVERS": self.certified,
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                "KAFKA_CA_FILE": str(self.folder / "ca.pem"),
                "KAFKA_CERT_FILE": str(self.folder / "client.pem"),
            },
        }[name]


def write_certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, given in (
        ("server", authority.issue_cert("localhost", "127.0.0.1")),
        ("client", authority.issue_cert("crypto@example.org")),
    ):
        key = serialization.load_pem_private_key(
            given.private_key_pem.bytes(), None
        )
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,  # what Kafka reads
            serialization.NoEncryption(),
        )
        chain = b"".join(each.bytes() for each in given.cert_chain_pems)
        (folder / f"{name}.pem").write_bytes(text + chain)


@pytest.fixture(scope="module")
def secured(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SecuredKafka]:
    folder = tmp_path_factory.mktemp("secured")
    write_certificates(folder)
    plain, controller, login, certified = free_ports(4)
    own = StackSettings(
        _env_file=None,
        kafka_bootstrap_servers="",
        state_dir=folder / "infra",
        kafka_port=plain,
        kafka_heap="384m",
    )
    (broker,) = kafka.brokers(own)
    jars.fetch(lambda _name: None)
    kafka.prepare(own)
    broker.properties.write_text(
        broker.properties.read_text()
        + PROPERTIES.format(
            plain=plain,
            controller=controller,
            login=login,
            certified=certified,
            folder=folder,
            user=USER,
        )
    )
    part = Part(kafka.command(own), folder / "kafka.log", signal.SIGTERM)
    part.start()
    try:
        until("the user", lambda: has_user(own), 60, 1)
        yield SecuredKafka(
            folder, f"localhost:{login}", f"localhost:{certified}"
        )
    finally:
        part.stop()


def has_user(settings: StackSettings) -> bool:
    """Made by Kafka's own tool."""
    password = f"SCRAM-SHA-512=[password={PASSWORD}]"
    change = ["--alter", "--add-config", password]
    user = ["--entity-type", "users", "--entity-name", USER]
    done = subprocess.run(
        kafka.tool_command(settings, "ConfigCommand", change + user),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.parametrize("how", ["scram", "plain", "certificate"])
def test_everything_runs_on_it(
    secured: SecuredKafka, tmp_path: Path, how: str
) -> None:
    prepare(tmp_path)
    with running(
        tmp_path / "state", tmp_path / "csv", **secured.settings(how)
    ) as stack:
        file = CsvFile(stack.csv_dir, f"of-{how}", 5, odd=False)
        file.grow(ROWS)
        run = stack.ingest(streams=[file.stream])
        assert (run["status"], run["inserted"]) == ("succeeded", ROWS)
        replay = stack.api.post(
            "/replay", json={"run_id": run["run_id"], "origin": "topic"}
        ).json()
        whole = stack.wait_for(replay["run_id"])
        assert (whole["status"], whole["unchanged"]) == (
            "succeeded",
            ROWS,
        )
        shown = stack.api.get("/health").json()
        assert shown["status"] == "ok", shown
        logs = "".join(
            path.read_text() for path in stack.settings.logs.glob("*")
        )
        assert PASSWORD not in logs


def test_a_wrong_password_is_said(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    prepare(tmp_path)
    settings = secured.settings("scram")
    stack = Stack(tmp_path / "state", tmp_path / "csv", **settings)
    done = stack.command("up", KAFKA_PASSWORD="not the right one")
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "KAFKA_PASSWORD: Kafka refuses them" in said
    assert "not the right one" not in said


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"KAFKA_USERNAME": ""}, "KAFKA_USERNAME"),
        ({"KAFKA_CA_FILE": "/nowhere/ca.pem"}, "KAFKA_CA_FILE"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL"),
        # It trusts whom the system trusts.
        ({"KAFKA_CA_FILE": ""}, "KAFKA_CA_FILE"),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    secured: SecuredKafka,
    tmp_path: Path,
    changed: dict[str, str],
    named: str,
) -> None:
    prepare(tmp_path)
    settings = secured.settings("scram")
    stack = Stack(tmp_path / "state", tmp_path / "csv", **settings)
    done = stack.command("up", **changed)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert named in said
    assert "Traceback" not in said
