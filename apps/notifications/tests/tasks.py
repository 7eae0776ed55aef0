"""Tasks for tests."""

from pathlib import Path

from apps.jobs.steps import current_job
from apps.jobs.tasks import job
from apps.notifications.tests.push_service import network_at
from apps.notifications.tests.test_web_push import ALICE, US
from apps.notifications.web_push import Result, web_push


@job(atomic=False)
def push(certificate: str, port: int) -> None:
    """Push a message, with the id of the job, by a push service on this machine."""
    network = network_at(port, Path(certificate))
    outcome = web_push(ALICE, {"title": "Ahoy"}, current_job().id, US, network)
    assert outcome.result is Result.SENT
