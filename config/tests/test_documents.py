"""The documents agree with the code."""

import re
from collections.abc import Iterator

from django.conf import settings

import apps.core.http.idempotency
import apps.realtime.errors  # noqa: F401
from apps.core.errors import DomainError
from apps.realtime import closing, registry
from apps.realtime.server_frames import Event, RoomSignal, Signal, server_frames
from apps.realtime.streams import stream_types
from config.tests.pages import DOCS, section


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `?(\w+)`? \|", text, re.MULTILINE)[1:]


def refusals(kind: type[DomainError] = DomainError) -> Iterator[tuple[str, int]]:
    yield kind.code, kind.status
    for child in kind.__subclasses__():
        yield from refusals(child)


def test_every_command_of_the_websocket_is_described() -> None:
    assert set(first_column(section("realtime.md", "What you send"))) == set(registry.commands)


def test_every_frame_of_the_server_is_described() -> None:
    assert set(server_frames) == set(first_column(section("realtime.md", "What you get")))


def test_every_frame_of_the_server_has_its_kind_in_the_document() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| ([^|]+) \|$", section("realtime.md", "What you get"), re.MULTILINE
    )
    kinds = dict(rows)
    for name, frame in server_frames.items():
        if issubclass(frame, Event):
            streams = ", or of ".join(f"`{kind.pattern}`" for kind in frame.stream_types())
            assert kinds[name] == f"event of {streams}"
        else:
            assert (kinds[name] == "signal") == issubclass(frame, Signal | RoomSignal)


def test_every_stream_is_described() -> None:
    described = re.findall(r"^\| `(\S+)` \|", section("realtime.md", "Streams"), re.MULTILINE)
    assert set(described) == {kind.pattern for kind in stream_types.values()}


def test_every_close_code_is_described() -> None:
    described = set(map(int, first_column(section("realtime.md", "Limits and close codes"))))
    assert described == set(closing.CODES)


def test_every_error_code_is_described_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", (DOCS / "errors.md").read_text(), re.MULTILINE)
    assert {(code, int(status)) for code, status in rows} == set(refusals())


def test_no_link_between_the_documents_is_dead() -> None:
    pages = [*DOCS.rglob("*.md"), *settings.BASE_DIR.glob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert dead == []


def test_every_make_command_in_the_documents_exists() -> None:
    makefile = (settings.BASE_DIR / "Makefile").read_text()
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    pages = [*DOCS.rglob("*.md"), *settings.BASE_DIR.glob("*.md")]
    named = {name for page in pages for name in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named <= known


def test_changelog_and_security_policy_name_the_version_of_the_code() -> None:
    changelog, policy = (
        (settings.BASE_DIR / name).read_text() for name in ("CHANGELOG.md", "SECURITY.md")
    )
    version = settings.APP_VERSION
    released = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert released[0] == version
    assert f"| {version.rpartition('.')[0]}.x | yes" in policy
