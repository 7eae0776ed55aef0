"""The readers of environment variables: typed, also from files, and without errors at import."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from config import env

NAME = "PARLEY_TEST_SETTING"
# A password as a password manager makes it, and how an address holds it.
ANY_CHARACTERS = "p@s:w/o#r?d%41 ${x}"
QUOTED = "p%40s%3Aw%2Fo%23r%3Fd%2541%20%24%7Bx%7D"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Separate what these tests read and create from the running settings and their data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(env, "problems", [])
    monkeypatch.setattr(env, "declared", set())
    for name in ("DATABASE_URL", "DB_HOST", "REDIS_URL", "REDIS_HOST", "REDIS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def reported() -> list[str]:
    """Return the names of the settings that were reported as invalid."""
    return [problem.name for problem in env.problems]


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_has_its_default(
    given: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        given.setenv(NAME, value)
    assert env.text(NAME, "default") == "default"
    assert env.integer(NAME, 5) == 5
    assert env.boolean(NAME, True) is True
    assert env.words(NAME, "a,b") == ["a", "b"]
    assert env.problems == []
    assert env.declared == {NAME}


def test_a_value_may_come_from_a_file(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    given.setenv(f"{NAME}_FILE", str(file))
    assert env.text(NAME, "default") == "from the file"
    given.setenv(NAME, "from the environment")
    assert env.text(NAME, "default") == "from the environment"


def test_a_number_may_come_from_a_file(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("7\n")
    given.setenv(f"{NAME}_FILE", str(file))
    assert env.integer(NAME, 5) == 7


def test_an_unreadable_file_is_reported(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given.setenv(f"{NAME}_FILE", str(tmp_path / "missing"))
    assert env.text(NAME, "default") == "default"
    assert reported() == [f"{NAME}_FILE"]


@pytest.mark.parametrize("value", ["x", "1.5", "1e3", "ten", "0x10", "-1", "0", "101"])
def test_an_invalid_number_is_reported(given: pytest.MonkeyPatch, value: str) -> None:
    given.setenv(NAME, value)
    assert env.integer(NAME, 5, at_least=1, at_most=100) == 5
    assert reported() == [NAME]
    assert value in env.problems[0].message


@pytest.mark.parametrize("value", ["1", "100"])
def test_a_number_may_equal_its_bounds(given: pytest.MonkeyPatch, value: str) -> None:
    given.setenv(NAME, value)
    assert env.integer(NAME, 5, at_least=1, at_most=100) == int(value)
    assert env.problems == []


@pytest.mark.parametrize(
    ("value", "meant"),
    [(word, True) for word in ("true", "TRUE", "yes", "on", "1")]
    + [(word, False) for word in ("false", "False", "no", "off", "0")],
)
def test_a_boolean_has_several_spellings(
    given: pytest.MonkeyPatch, value: str, meant: bool
) -> None:
    given.setenv(NAME, value)
    assert env.boolean(NAME, not meant) is meant
    assert env.problems == []


@pytest.mark.parametrize("value", ["maybe", "2", "tru"])
def test_an_invalid_boolean_is_reported(given: pytest.MonkeyPatch, value: str) -> None:
    given.setenv(NAME, value)
    assert env.boolean(NAME, False) is False
    assert reported() == [NAME]


def test_an_unknown_choice_is_reported(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, "yaml")
    assert env.text(NAME, "console", one_of=("json", "console")) == "console"
    assert reported() == [NAME]
    assert "json, console" in env.problems[0].message


def test_white_space_around_words_is_removed(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, " a, b,,c ,")
    assert env.words(NAME) == ["a", "b", "c"]


def database() -> dict[str, Any]:
    return env.database(Path("var") / "default.sqlite3", connect_timeout=5, lock_timeout=7)


def test_the_default_database_is_sqlite() -> None:
    found = database()
    assert found["ENGINE"].endswith("sqlite3")
    assert found["NAME"] == Path("var") / "default.sqlite3"
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert found["OPTIONS"]["timeout"] == 7


def test_sqlite_syncs_every_commit_to_disk() -> None:
    """Otherwise a power cut loses the last events, and new events reuse their numbers."""
    found = database()
    with closing(sqlite3.connect(found["NAME"])) as connection:
        connection.executescript(found["OPTIONS"]["init_command"])
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        # 2 is FULL.
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_sqlite_may_wait_for_a_lock_without_limit() -> None:
    found = env.database(Path("var") / "default.sqlite3", connect_timeout=0, lock_timeout=0)
    assert found["OPTIONS"]["timeout"] > 24 * 3600


def test_a_url_selects_postgresql(given: pytest.MonkeyPatch) -> None:
    given.setenv("DATABASE_URL", "postgres://ann%40x:p%2Fw@db.example.com/app?sslmode=require")
    given.setenv("DB_HOST", "ignored")
    found = database()
    assert found["ENGINE"].endswith("postgresql")
    parts = [found[name] for name in ("HOST", "PORT", "USER", "PASSWORD", "NAME")]
    assert parts == ["db.example.com", "5432", "ann@x", "p/w", "app"]
    assert found["OPTIONS"]["sslmode"] == "require"
    assert env.problems == []


def test_a_dead_network_is_noticed_unless_the_url_sets_other_timeouts(
    given: pytest.MonkeyPatch,
) -> None:
    given.setenv("DATABASE_URL", "postgres://db.example.com/app?tcp_user_timeout=1")
    options = database()["OPTIONS"]
    assert options["connect_timeout"] == "5"
    assert options["keepalives_idle"] == "5"
    assert options["tcp_user_timeout"] == "1"


def test_statements_are_prepared_unless_that_is_forbidden(given: pytest.MonkeyPatch) -> None:
    given.setenv("DB_HOST", "db.example.com")
    assert database()["OPTIONS"]["prepare_threshold"] == 0
    unprepared = env.database(Path("x"), connect_timeout=5, lock_timeout=7, prepare=False)
    assert unprepared["OPTIONS"]["prepare_threshold"] is None


def test_single_variables_select_postgresql(given: pytest.MonkeyPatch) -> None:
    given.setenv("DB_HOST", "db.example.com")
    given.setenv("DB_PORT", "6000")
    found = database()
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example.com", "6000", "parley")


def test_a_url_may_select_another_sqlite_file(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given.setenv("DATABASE_URL", f"sqlite://{tmp_path}/new/other.sqlite3")
    assert database()["NAME"] == tmp_path / "new" / "other.sqlite3"
    assert (tmp_path / "new").is_dir()


def test_a_sqlite_file_that_cannot_be_created_is_reported(
    given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    given.setenv("DATABASE_URL", f"sqlite://{tmp_path}/file/x.sqlite3")
    assert database()["ENGINE"].endswith("sqlite3")
    assert reported() == ["DATABASE_URL"]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://host/name",
        "postgresql://host",
        "postgresql://host/",
        "postgresql://host:port/name",
        "postgresql://host:99999/name",
        "sqlite://",
        "host:5432/name",
        "x",
    ],
)
def test_an_invalid_database_url_is_reported_and_replaced_by_sqlite(
    given: pytest.MonkeyPatch, url: str
) -> None:
    given.setenv("DATABASE_URL", url)
    assert database()["ENGINE"].endswith("sqlite3")
    assert reported() == ["DATABASE_URL"]


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, ""),
        ({"REDIS_URL": "redis://:pw@host:6000/5"}, "redis://:pw@host:6000"),
        ({"REDIS_URL": "rediss://host", "REDIS_HOST": "ignored"}, "rediss://host"),
        ({"REDIS_HOST": "host"}, "redis://host:6379"),
        ({"REDIS_HOST": "host", "REDIS_PASSWORD": "pw"}, "redis://:pw@host:6379"),
        ({"REDIS_HOST": "host", "REDIS_PASSWORD": ANY_CHARACTERS}, f"redis://:{QUOTED}@host:6379"),
        ({"REDIS_PASSWORD": "pw"}, ""),
    ],
)
def test_a_url_or_single_variables_select_redis(
    given: pytest.MonkeyPatch, settings: dict[str, str], url: str
) -> None:
    for name, value in settings.items():
        given.setenv(name, value)
    assert env.redis_url() == url
    assert env.problems == []


@pytest.mark.parametrize("url", ["http://host", "host:6379", "redis://", "x"])
def test_an_invalid_redis_url_is_reported(given: pytest.MonkeyPatch, url: str) -> None:
    given.setenv("REDIS_URL", url)
    assert env.redis_url() == ""
    assert reported() == ["REDIS_URL"]


def test_a_secret_that_is_not_given_and_cannot_be_kept_is_reported(
    given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "secret"
    assert len(env.secret(NAME, place)) >= 64
    assert reported() == [NAME]
    given.setenv(NAME, "given")
    assert env.secret(NAME, place) == "given"
    assert reported() == [NAME]


def test_a_log_file_that_cannot_be_written_is_reported_if_it_is_used(
    given: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    given.setenv(NAME, str(tmp_path / "file" / "app.log"))
    env.log_file(NAME, "", used=False)
    assert reported() == []
    env.log_file(NAME, "", used=True)
    assert reported() == [NAME]
    given.setenv(NAME, str(tmp_path / "logs" / "app.log"))
    assert env.log_file(NAME, "", used=True) == str(tmp_path / "logs" / "app.log")
    assert reported() == [NAME]


def test_networks_are_read_and_a_wrong_one_is_reported(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, "10.0.0.0/8, 192.0.2.7")
    assert [str(one) for one in env.networks(NAME, "::1")] == ["10.0.0.0/8", "192.0.2.7/32"]
    given.setenv(NAME, "10.0.0.1/8")
    assert [str(one) for one in env.networks(NAME, "::1")] == ["::1/128"]
    assert reported() == [NAME]
