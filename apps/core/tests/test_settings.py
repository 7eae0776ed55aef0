"""docs/settings.md and .env.example explain every setting with its real default."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from config import env

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = (ROOT / ".env.example").read_text()
# The name and the default of each setting; the line above explains it.
EXPLAINED = re.findall(r"^# (?=\S).*\n# ([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE)
ROWS = re.findall(
    r"^\| `([A-Z0-9_]+)` \| (?:`(.*?)`|none) \| (\S.*) \|$",
    (ROOT / "docs" / "settings.md").read_text(),
    re.MULTILINE,
)
# Prints all settings as text, since some of them are not JSON.
SHOW = """
import json
from config import env, settings
assert not env.problems, env.problems
print(json.dumps({n: repr(v) for n, v in vars(settings).items() if n.isupper()}))
"""


def test_the_example_explains_every_setting_and_no_other() -> None:
    names = [name for name, _ in EXPLAINED]
    assert sorted(names) == sorted(env.declared)


def test_the_example_sets_nothing_until_it_is_edited() -> None:
    assert all(line.startswith("#") or not line for line in EXAMPLE.splitlines())


def test_the_table_explains_every_setting_and_no_other() -> None:
    names = [name for name, _, _ in ROWS]
    assert sorted(names) == sorted(env.declared)


def test_the_example_and_the_table_have_the_same_defaults() -> None:
    assert {name: default for name, default, _ in ROWS} == dict(EXPLAINED)


def settings_with(variables: dict[str, str]) -> dict[str, str]:
    """Return all settings of a process with these variables and no other variables of ours."""
    others = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in env.declared
    }
    shown = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=ROOT,
        env={**others, **variables, "APP_ENV": "test"},
        capture_output=True,
        text=True,
        check=True,
    )
    read: dict[str, str] = json.loads(shown.stdout)
    return read


@pytest.mark.integration
def test_the_documented_defaults_are_the_real_ones(tmp_path: Path) -> None:
    """Nothing changes when every line of the example is uncommented."""
    switched_on = tmp_path / ".env"
    switched_on.write_text("\n".join(f"{name}={default}" for name, default in EXPLAINED))
    variables = {name: value or "" for name, value in dotenv_values(switched_on).items()}
    assert settings_with(variables) == settings_with({})


@pytest.mark.integration
def test_the_port_of_a_platform_counts_if_no_other_is_set() -> None:
    assert settings_with({"PORT": "9123"})["SERVER_PORT"] == "9123"
    assert settings_with({"PORT": "9123", "SERVER_PORT": "9124"})["SERVER_PORT"] == "9124"


POOLS = ("HASHING", "READING", "WRITING", "REALTIME")


@pytest.mark.integration
@pytest.mark.parametrize("connections", [4, 5, 25])
def test_all_threads_together_stay_within_the_connection_limit(connections: int) -> None:
    found = settings_with({"DB_MAX_OPEN_CONNS": str(connections)})
    threads = [int(found[f"{name}_THREADS"]) for name in POOLS]
    assert min(threads) >= 1
    assert sum(threads) <= connections
