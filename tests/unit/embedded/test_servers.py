"""The servers' files: jars as they are locked, data of this major version, passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded.errors import StackError
from embedded.servers import jars, kafka, passwords, postgres
from embedded.servers.cluster import Cluster
from embedded.settings import StackSettings


def settings(state: Path, **more: str) -> StackSettings:
    return StackSettings(_env_file=None, state_dir=state, **more)


def test_data_of_another_major_version_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        StackError, match="made by PostgreSQL 16"
    ) as caught:
        postgres.prepare(settings(tmp_path))
    assert "docs/operations.md" in str(caught.value)


def test_the_commands_that_move_it_are_in_the_docs() -> None:
    docs = (Path(__file__).parents[3] / "docs/operations.md").read_text()
    assert "## PostgreSQL of another major version" in docs


def test_altered_jars_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "folder", lambda: tmp_path)
    first = next(iter(jars.locked()))
    name = jars.name_of(first)
    (tmp_path / name).write_bytes(b"altered")
    (tmp_path / "foreign.jar").write_bytes(b"x")
    assert jars.drop_altered() == sorted(["foreign.jar", name])
    assert not list(tmp_path.iterdir())


def test_only_locked_jars_are_on_the_class_path(tmp_path: Path) -> None:
    command = kafka.command(settings(tmp_path))
    paths = command[command.index("-cp") + 1].split(":")
    assert len(paths) == len(jars.locked())
    assert "*" not in "".join(paths)


def test_brokers_take_two_ports_each_in_a_row(tmp_path: Path) -> None:
    several = settings(tmp_path, kafka_brokers="3", kafka_port="7000")
    assert kafka.ports(several) == list(range(7000, 7006))
    assert several.kafka_bootstrap_servers == (
        "127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002"
    )
    assert several.embedded_kafka()
    assert kafka.ports(settings(tmp_path, kafka_port="7000")) == [7000]


def test_a_disk_that_is_not_the_first_is_no_member(
    tmp_path: Path,
) -> None:
    cluster = Cluster.new(3)
    addresses = [f"127.0.0.1:{port}" for port in (1, 2, 3)]
    option, members = cluster.quorum(2, addresses)
    assert option == "--initial-controllers"
    assert [each.partition(":")[0] for each in members.split(",")] == [
        f"{number}@127.0.0.1" for number in (1, 2, 3)
    ]
    cluster.formatted.append(2)
    path = tmp_path / "cluster.json"
    cluster.write(path)
    assert Cluster.read(path) == cluster
    assert cluster.quorum(2, addresses) == ["--no-initial-controllers"]
    assert cluster.quorum(3, addresses)[0] == "--initial-controllers"


@pytest.mark.parametrize(("made", "asked"), [(1, 3), (3, 1)])
def test_another_number_of_brokers_is_refused(
    tmp_path: Path, made: int, asked: int
) -> None:
    for broker in kafka.brokers(
        settings(tmp_path, kafka_brokers=str(made))
    ):
        broker.data.mkdir(parents=True)
        (broker.data / "meta.properties").touch()
    if made > 1:
        Cluster.new(made).write(tmp_path / "kafka-cluster.json")
    with pytest.raises(StackError, match=f"KAFKA_BROKERS={made}"):
        kafka.prepare(settings(tmp_path, kafka_brokers=str(asked)))


@pytest.mark.parametrize("count", ["0", "2", "10"])
def test_a_number_of_brokers_that_helps_nobody_is_refused(
    tmp_path: Path, count: str
) -> None:
    with pytest.raises(ValueError, match="kafka_brokers"):
        settings(tmp_path, kafka_brokers=count)


def test_a_password_is_made_once_and_only_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("POSTGRES_PASSWORD", "DATABASE_URL", "MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("POSTGRES_PASSWORD", "")  # so that it is put back
    given = settings(tmp_path, postgres_password="given")
    assert passwords.former(given) is None
    assert passwords.make(given) is given
    assert not (tmp_path / passwords.NAME).exists()
    made = passwords.make(settings(tmp_path))
    password = made.postgres_password.get_secret_value()
    assert len(password) > 20
    assert passwords.former(given) == password
    assert passwords.former(made) == passwords.FORMER_DEFAULT
    path = tmp_path / passwords.NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() == password
