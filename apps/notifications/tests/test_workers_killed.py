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
from apps.notifications.tests.test_web_push import Sink, certificate, sink  # noqa: F401
from apps.notifications.web_push import Network

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
    sink: tuple[type[Sink], Network],  # noqa: F811
    certificate: Path,  # noqa: F811
    kill_worker: KillWorker,
    point: tuple[str, str],
    copies: int,
) -> None:
    handler, network = sink
    [(_, port)] = network.addresses("")
    tasks.push.enqueue(str(certificate), port)
    kill_worker(*point)
    go_on()
    job = Job.objects.get(task__endswith="push")
    assert job.status == "completed"
    assert Counter(heard["Topic"] for heard in handler.heard) == {job.pk.hex: copies}
