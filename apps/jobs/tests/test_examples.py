"""The examples of jobs in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest

import apps.jobs
from apps.accounts.tests.people import Person
from apps.jobs.tests import tasks
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.jobs.__file__).with_name("examples.json")


def test_alice_sees_what_the_examples_of_jobs_show(alice: Person) -> None:
    with examples_of(EXAMPLES) as example:
        job = tasks.write_post.with_options(owner_id=alice.user.pk).enqueue(alice.id, "Ahoy")
        example(alice.get("/jobs", {"status": "pending"}))
        example(alice.get(f"/jobs/{job.id}"))
        example(alice.post(f"/jobs/{job.id}/cancel"))
