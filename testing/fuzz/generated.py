"""Requests that schemathesis generates from openapi.yaml, valid and invalid, and its checks of the
responses."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import schemathesis
from django.conf import settings
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import StopReason, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.openapi.checks import RejectedPositiveData

from apps.core.serializers import has_visible_characters
from testing.api_document import described_response, operation_called
from testing.fuzz.findings import Findings
from testing.fuzz.knowledge import of_all, real_values
from testing.fuzz.people import PASSWORD, People, Person

SEED = 20_240_229
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))

# Operations that end the session that calls them.
ENDING = ["auth_logout", "auth_session_end"]

# Reasons to refuse a request that is valid by its schema, which no schema can express.
REASONS = {
    "This Idempotency-Key was used for another request",
    "Use a cursor from an earlier answer.",
}

Run = Callable[[Findings], None]


def in_the_name_of(person: Person, people: People, *, unseen: Person, again: bool = False) -> Run:
    """Return the run with this user's token, and without it as a case that must be refused.

    No response may contain the e-mail address of the user `unseen`. A run `again` leaves out the
    cases that the schema itself names, which are the same for every user.
    """
    run = _run(
        people,
        unseen.email,
        {
            "seed": SEED + again,
            "auth": {"openapi": {"BearerAuth": {"bearer": person.token}}},
            "phases": _phases(coverage=not again),
        },
        {"include-operation-id": ENDING},
    )

    def run_as_person(findings: Findings) -> None:
        run(findings)
        # This fails if the session ended during the run: the rest would have been anonymous.
        person.get("/auth/profile")

    return run_as_person


def ending_sessions(people: People) -> Run:
    """Return the run of the operations that end sessions; its user logs in again after each."""
    login = {
        "path": "/api/v1/auth/login",
        "payload": {"email": people.cleo.email, "password": PASSWORD},
        "extract_selector": "/data/accessToken",
    }
    return _run(
        people,
        people.ann.email,
        {
            "seed": SEED,
            "auth": {"dynamic": {"openapi": {"BearerAuth": login}}},
            "phases": _phases(),
        },
        {"exclude-operation-id": ENDING},
    )


def _phases(*, coverage: bool = True) -> Mapping[str, Any]:
    # Chains of requests would take longest, and the tests of the apps have many of them.
    chosen = {"examples": False, "coverage": coverage, "fuzzing": True, "stateful": False}
    return {name: {"enabled": enabled} for name, enabled in chosen.items()}


def _run(people: People, secret: str, own: Mapping[str, Any], left_out: Mapping[str, Any]) -> Run:
    operations = [{**left_out, "enabled": False}] + [
        {
            "include-operation-id": operation,
            "parameters": {
                name: {"dictionary": values, "probability": 0.7} for name, values in real.items()
            },
        }
        for operation, real in of_all("real").items()
    ]
    common = {
        "base-url": people.url,
        "continue-on-failure": True,
        "request-timeout": 30,
        "cache": {"enabled": False},
        "output": {"sanitization": {"enabled": False}},
        "generation": {"max-examples": EXAMPLES, "database": "none"},
        # A valid request may concern another user's thing, carry a stale If-Match, or name what it
        # has in If-None-Match. The first two may also be all that is wrong with an invalid one.
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "304", "401", "403", "404", "409", "412"]
            },
            "negative_data_rejection": {"expected-statuses": ["4xx"]},
        },
        "dictionaries": {name: {"values": values} for name, values in real_values(people).items()},
        "operations": operations,
    }
    config = SchemathesisConfig.from_dict({**common, **own})
    schema = schemathesis.openapi.from_path(settings.BASE_DIR / "openapi.yaml", config=config)
    schema.hook("filter_failure")(_is_failure)
    return lambda findings: _execute(schema, secret, findings)


def _execute(schema: schemathesis.BaseSchema, secret: str, findings: Findings) -> None:
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note_answers(event.recorder, secret, findings)
            _note_failures(event.recorder, findings)
        elif isinstance(event, events.NonFatalError):
            findings.fail(f"{event.label}: {type(event.value).__name__}", str(event.value))
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.EngineFinished) and event.stop_reason != StopReason.COMPLETED:
            findings.fail("schemathesis", f"It stopped early: {event.stop_reason}")


def _note_answers(recorder: ScenarioRecorder, secret: str, findings: Findings) -> None:
    for interaction in recorder.interactions.values():
        if interaction.response is None:
            continue
        status = interaction.response.status_code
        findings.note(recorder.label, status)
        # The `default` response, which fits all that schemathesis sees, is not for every status. A
        # request may also have a method that the route lacks.
        its_own = recorder.label.startswith(f"{interaction.request.method} ")
        if its_own and described_response(operation_called(recorder.label), status) is None:
            findings.fail(f"{recorder.label}: {status} is not described", interaction.request.uri)
        if secret.encode() in interaction.response.content:
            findings.fail(f"{recorder.label}: others see {secret}", interaction.request.uri)


def _note_failures(recorder: ScenarioRecorder, findings: Findings) -> None:
    for case_id, checks in recorder.checks.items():
        answer = recorder.interactions[case_id].response
        for found in (check.failure_info for check in checks if check.failure_info):
            findings.fail(
                f"{recorder.label}: {found.failure.title}",
                f"{found.failure.message}\n{found.code_sample}\n"
                + (f"{answer.status_code} {answer.content[:500]!r}" if answer else "No answer"),
            )


def _is_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Return whether this is a failure, not a refusal for a reason that no schema can express."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    refusal = response.json()
    sentences = [error["message"] for error in refusal.get("errors", [])] or [refusal["message"]]
    reasons = REASONS | of_all("reasons")
    return not reasons.issuperset(sentences) and _is_plain([case.body, case.query])


def _is_plain(value: Any) -> bool:
    """Return whether a schema and the API agree about the value. The API strips white space around
    a text, and refuses a text without visible characters, NUL, and 2.0 as an integer."""
    if isinstance(value, str):
        return value == value.strip() and "\0" not in value and has_visible_characters(value or "a")
    if isinstance(value, float):
        return not value.is_integer()
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return not isinstance(value, list) or all(map(_is_plain, value))
