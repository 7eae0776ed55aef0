"""`manage.py worker`: does jobs, as servers do as well."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from apps.core.logs import log_instead_of_printing
from apps.jobs.worker import Worker
from config.command_line import whole_number
from config.stopping import end, when_told_to_stop

MOST_THREADS = 20


class Command(BaseCommand):
    """Works until it is told to stop."""

    help = "Do the jobs that wait: mail, notifications, pruning."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how many jobs are done at once."""
        parser.add_argument(
            "--threads", type=whole_number(1, MOST_THREADS), default=2, help="how many at once (2)"
        )

    def handle(self, *args: Any, threads: int, **options: Any) -> None:
        """Work; on a signal finish what is being done, or give it back, and end."""
        log_instead_of_printing()
        # A pipe, since the handler of a signal may not take the lock of an event.
        told, tell = os.pipe()
        when_told_to_stop(lambda: os.write(tell, b"0"))
        worker = Worker(threads)
        worker.start()
        self.stdout.write("The worker waits for jobs.")
        self.stdout.flush()
        os.read(told, 1)
        worker.stop(settings.SERVER_SHUTDOWN_TIMEOUT)
        end(0, "Stopped.", self.stdout)
