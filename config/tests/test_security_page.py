"""docs/security.md cites tests and files that exist, and covers every requirement."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache

import pytest
from django.conf import settings

from apps.core.features import limits
from config import env
from config.tests.pages import DOCS, section

PAGE = (DOCS / "security.md").read_text()
QUOTED = re.findall(r"`([^`\n]+)`", PAGE + (settings.BASE_DIR / "SECURITY.md").read_text())
CITED = [quoted for quoted in QUOTED if "::" in quoted]
CHAPTERS = re.findall(r"^## (V\d+ .+)$", PAGE, re.MULTILINE)
# OWASP ASVS 5.0.0: how many requirements of level 1 or 2, which come first, a section has.
SIZES = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1
4.3:2 4.4:4 5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2
7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2
10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5
14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2
"""
REQUIREMENTS = [
    f"{part}.{number}"
    for part, size in (entry.split(":") for entry in SIZES.split())
    for number in range(1, int(size) + 1)
]


@cache
def defined_in(path: str) -> set[str]:
    """Return the names of the tests in a file, or none if the file does not exist."""
    file = settings.BASE_DIR / path
    tree = ast.parse(file.read_text() if file.is_file() else "")
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def missing(cited: Iterable[str]) -> list[str]:
    """Return the cited tests that do not exist. The id of a case is ignored."""
    parts = (one.partition("[")[0].partition("::") for one in cited)
    return [f"{path}::{name}" for path, _, name in parts if name not in defined_in(path)]


def numbers_in(text: str) -> Iterator[str]:
    """Yield the requirements that a text names, singly or as a range with an en dash."""
    number = r"\b(\d+\.\d+\.\d+)\b"
    for first, last in re.findall(rf"{number}(?:\u2013{number})?", text):
        assert {first, last or first} <= set(REQUIREMENTS), f"There is no {first} or {last}."
        start, end = REQUIREMENTS.index(first), REQUIREMENTS.index(last or first)
        yield from REQUIREMENTS[start : end + 1]


def test_every_chapter_exists_in_its_order() -> None:
    assert [title.partition(" ")[0] for title in CHAPTERS] == [f"V{n}" for n in range(1, 18)]


@pytest.mark.parametrize("title", CHAPTERS)
def test_a_chapter_names_each_of_its_requirements(title: str) -> None:
    chapter = title.partition(" ")[0].removeprefix("V")
    its_own = {one for one in REQUIREMENTS if one.partition(".")[0] == chapter}
    assert its_own - set(numbers_in(section("security.md", title))) == set()


def test_every_cited_test_exists() -> None:
    assert len(CITED) > 100
    assert missing(CITED) == []


def test_a_requirement_that_is_left_out_is_found() -> None:
    assert [*numbers_in("1.1.2\u20131.2.2, 17.3.2")] == ["1.1.2", "1.2.1", "1.2.2", "17.3.2"]
    with pytest.raises(AssertionError, match=r"There is no 1\.1\.3"):
        list(numbers_in("1.1.3"))


def test_a_test_that_was_renamed_is_found() -> None:
    here = "config/tests/test_security_page.py"
    renamed = [f"{here}::test_by_another_name", f"{here}::missing", "config/gone.py::test_x"]
    assert missing(renamed) == renamed
    assert missing([f"{here}::test_a_test_that_was_renamed_is_found[case]"]) == []


def test_every_named_setting_exists() -> None:
    words = {quoted.partition("=")[0] for quoted in QUOTED}
    named = {word for word in words if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", word)} - {"NAME_FILE"}
    assert "JWT_SECRET" in named
    assert {one for one in named - env.declared if not hasattr(settings, one)} == set()


def test_every_named_file_exists() -> None:
    """A file that is named without a folder may be in any app."""
    file = re.compile(r"[\w.-][\w./-]*(\.(py|md|yml|yaml|txt|in)|/)")
    files = {quoted for quoted in QUOTED if file.fullmatch(quoted)}
    assert "apps/core/db/sql.py" in files
    places = [settings.BASE_DIR, *(settings.BASE_DIR / "apps").iterdir()]
    assert {one for one in files if not any((place / one).exists() for place in places)} == set()


def test_the_named_limits_are_the_declared_ones() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section("security.md", CHAPTERS[1]), re.MULTILINE)
    assert {name: int(limit) for name, limit in rows} == limits()
