"""Words that were replaced stay replaced, in code, tests and documents alike (CONTRIBUTING.md)."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

SUFFIXES = {".py", ".md", ".html", ".yaml", ".toml"}
HERE = "config/tests/test_words.py"

# What is not written any more, as a regular expression; what to write instead; and an example. A
# pattern finds the word in names too, unless it says otherwise. Case counts only after (?-i:.
WORDS = [
    (r"\b(he|him|himself|she|herself)\b", "they, them, themselves", "what he sent"),
    # The names `his` and `hers` of the things of two named users are no pronouns of a sentence.
    (r"\b(his|her) [a-z]", "their", "sends his message"),
    (r"strangers?(?![a-z])", "anonymous user, or another user", "_stranger(address)"),
    (r"visitors?(?![a-z])", "user, or client", "FIRST_VISITORS"),
    (r"\bpersonrequest\b", "UserRequest", "request: PersonRequest"),
    (r"(?-i:\b\w*Gate\b)|\bgate\b", "SocketAuthenticator, or ApiMiddleware", "class ApiGate:"),
    (
        r"(?<![a-z])(session|sessions)_living|living_sessions|\.living\(",
        "active",
        "living_sessions",
    ),
    (r"\bspend(_\w+)?\(", "consume", "spend_action(name)"),
    (r"(?<![a-z])hear(s|d)?[_ ]of\b", "receive, learn of, be told", "hear_of(head)"),
    (r"(?<![a-z])look(s|ed|ing)?[_ ]after\b", "run, watch, moderate", "look_after()"),
    (r"second[_ ]way", "database notices", "second_way.tell()"),
    (r"\bkeep[_ ]tidy|(?<![a-z])tid(y|ies|ied|ying)(?![a-z])", "prune", "keep_tidy"),
    (r"(?<![a-z])deeds?(?![a-z])", "action, operation, step", "DEEDS"),
    (r"(?<![a-z])wish(es|ed)?(?![a-z])", "request, want, ask for", "the view wishes"),
    (r"\beager\.start\b|\bimport eager\b", "run_until_blocked", "eager.start(send)"),
    (r"(?-i:\bMissed)[\[(]|(?-i:\bclass Missed)\b", "Backlog", "Missed(frames)"),
    (r"\bapps\.realtime\.(log|feed)\b", "event_log, stream_subscribers", "apps.realtime.log"),
    (r"(?<![a-z])unfollow\((name|stream)", "unsubscribe", "unfollow(name)"),
    (r"\bfollowers? of (the|a) streams?\b", "subscriber", "a follower of the stream"),
    (
        r"\bfollow(s|ed|ing)? (?!on\b)(\w+ ){0,2}(streams?|feed)\b",
        "subscribe to (users follow users)",
        "follows the feed",
    ),
    (r"(?<![a-z])bystanders?(?![a-z])", "observer", "bystanders"),
    (r"(?<![a-z])stand[_ ]by\b", "observe", "stand_by(pipe)"),
    (r"(?<![a-z])beside(?![a-z])", "next to, with, at the same time as", "test_login_beside"),
    (r"\bwho(m)?ever\b", "the user, client or process that", "whoever asks"),
    (r"(?<![a-z])(take_look|take_and_relay)\b", "receive_notice", "take_look"),
    (r"(?<![a-z])keep_(hearing|sending)\b", "the loop's work: _receive_loop", "_keep_hearing"),
    # What stood only in documents that are not here.
    (r"\bcontract \d", "what docs/api.md or docs/realtime.md says", "contract 7.2"),
    (r"\boriginal defects?\b|\bdefects? \d+", "the reason itself", "Original defect 22"),
    (r"\barchitecture \d", "the reason itself", "Architecture 2 sends"),
    (r"\b(of the guide|the guide's)\b", "docs/settings.md, docs/first-steps.md", "of the guide"),
    ("\N{SECTION SIGN}", "the title of the section", "see \N{SECTION SIGN} 4"),
]
PATTERNS = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead, _ in WORDS]
# Sentences and code that look like old words and are none.
INNOCENT = """
the hash is the theme of this chapter
hers, his = write(alice), write(bob)
with TestSocket(server.url) as his: his.expect("connected")
an error that an investigation found (RFC 9110, 13.1.1)
aggregate, delegate, navigate
the page that follows, what follows on its stream, and users who follow each other: their followers
indeed, `expenditure` and `suspend_user(actor)`
requests missed their deadline, and nothing_missed(stream)
class ContractClient: it holds the contract of docs/api.md
asyncio's eager tasks
"""


def committed() -> list[str]:
    """Return the committed files that words are looked for in. This file has to name them."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    return [
        path
        for path in listed.stdout.splitlines()
        if Path(path).suffix in SUFFIXES and path != HERE and (settings.BASE_DIR / path).is_file()
    ]


def folder_of(path: str) -> str:
    """Return the folder that a file counts for: each app is one, and `.` has the first pages."""
    first, *rest = path.split("/")
    if not rest:
        return "."
    return f"apps/{rest[0]}" if first == "apps" else first


def old_words(text: str) -> Iterator[str]:
    """Yield each old word with its line and with what to write instead."""
    for pattern, instead in PATTERNS:
        for found in pattern.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{line}: instead of {found[0]!r} write: {instead}"


FILES = committed()


@pytest.mark.parametrize("folder", sorted({folder_of(path) for path in FILES}))
def test_old_words_do_not_come_back(folder: str) -> None:
    found = [
        f"{path}:{word}"
        for path in FILES
        if folder_of(path) == folder
        for word in old_words((settings.BASE_DIR / path).read_text())
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("instead", "example"), [word[1:] for word in WORDS])
def test_each_old_word_is_found_in_its_example(instead: str, example: str) -> None:
    assert any(found.endswith(f"write: {instead}") for found in old_words(example))


def test_words_that_only_look_alike_are_left_alone() -> None:
    assert list(old_words(INNOCENT)) == []
