"""The servers' files: jars as they are locked, data of this major version, passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded.errors import StackError
from embedded.servers import kafka, passwords, postgres
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
    monkeypatch.setattr(kafka, "jars_dir", lambda: tmp_path)
    first = next(iter(kafka.locked()))
    name = kafka._jar_name(first)
    (tmp_path / name).write_bytes(b"altered")
    (tmp_path / "foreign.jar").write_bytes(b"x")
    assert kafka.drop_altered() == sorted(["foreign.jar", name])
    assert not list(tmp_path.iterdir())


def test_only_locked_jars_are_on_the_class_path(tmp_path: Path) -> None:
    command = kafka.command(settings(tmp_path))
    paths = command[command.index("-cp") + 1].split(":")
    assert len(paths) == len(kafka.locked())
    assert "*" not in "".join(paths)


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
