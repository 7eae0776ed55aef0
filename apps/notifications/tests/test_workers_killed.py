"""A worker is killed at each point of the job of a push, and another one goes on: the push service
has the message, and who gets it twice knows by its id."""

from collections import Counter
from pathlib import Path

import pytest

from apps.jobs.models import Job
from apps.jobs.tests.workers import (
    AFTER_IT_IS_TAKEN,
    AFTER_ITS_END,
    BEFORE_IT_IS_TAKEN,
    BEFORE_ITS_END_IS_WRITTEN,
    KillWorker,
    go_on,
)
from apps.notifications.tests import tasks
from apps.notifications.tests.push_service import PushService

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

AFTER_THE_EFFECT = ("after", "apps.notifications.tests.tasks.web_push")


@pytest.mark.parametrize(
    ("point", "copies"),
    [
        (BEFORE_IT_IS_TAKEN, 1),
        (AFTER_IT_IS_TAKEN, 1),
        (AFTER_THE_EFFECT, 2),
        (BEFORE_ITS_END_IS_WRITTEN, 2),
        (AFTER_ITS_END, 1),
    ],
)
def test_a_message_arrives_and_its_repetition_has_the_same_id(
    push_service: PushService,
    certificate: Path,
    kill_worker: KillWorker,
    point: tuple[str, str],
    copies: int,
) -> None:
    [(_, port)] = push_service.network.addresses("")
    tasks.push.enqueue(str(certificate), port)
    kill_worker(*point)
    go_on()
    job = Job.objects.get(task__endswith="push")
    assert job.status == "completed"
    assert Counter(headers["Topic"] for _, headers, _ in push_service.heard) == {job.pk.hex: copies}
