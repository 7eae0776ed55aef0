"""`manage.py jobs`: lists jobs, tries them again, and deletes those that have ended."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import DomainError
from apps.jobs.models import Job
from apps.jobs.services import job_retry, jobs_prune
from config.command_line import whole_number


class Command(BaseCommand):
    """Shows jobs to an operator, and acts on them."""

    help = "List jobs, try one again, or delete those that ended 30 days ago."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="the latest jobs")
        listing.add_argument("--status", choices=Job.Status.values)
        listing.add_argument(
            "--most", type=whole_number(1, 10_000), default=20, help="how many (20)"
        )
        retry = actions.add_parser("retry", help="a job that failed or was cancelled")
        retry.add_argument("id", type=UUID)
        actions.add_parser("purge", help="delete the jobs that ended 30 days ago")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Do it."""
        if action == "list":
            self._list(options["status"], options["most"])
        elif action == "retry":
            try:
                self.stdout.write(f"{job_retry(options['id'])} is tried again")
            except DomainError as refusal:
                raise CommandError(refusal.message) from refusal
        else:
            self.stdout.write(f"{jobs_prune()} jobs deleted")

    def _list(self, status: str | None, most: int) -> None:
        found = Job.objects.filter(status=status) if status else Job.objects.all()
        for job in found.order_by("-id")[:most]:
            why = job.error.splitlines()[0] if job.error else ""
            self.stdout.write(
                f"{job.id}  {job.created_at:%Y-%m-%d %H:%M:%S}  {job.status:10}"
                f"  {job.attempts}/{job.max_attempts}  {job.type}  {why}".rstrip()
            )
