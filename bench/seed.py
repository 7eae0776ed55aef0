"""Fill the database before a measurement: python -m bench.seed users|posts|community|jobs
COUNT.

Prints the rows that it has made as JSON.
"""

import json
import secrets
import sys
from dataclasses import asdict
from typing import Any

import django
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings

from bench.community import AUTHORS, fill

TEXT = "Parley is a place to write and to talk. " * 20


def users(count: int) -> list[dict[str, str]]:
    """Make users who are logged in. They share a random password: a hash for each would take
    seconds."""
    from apps.accounts.models import Session, User
    from apps.accounts.tokens import issue_pair, new_jti

    password = make_password(secrets.token_urlsafe())
    first = User.objects.count()
    users = User.objects.bulk_create(
        User(name=f"User {n}", email=f"user{n}@example.com", password=password)
        for n in range(first, first + count)
    )
    # The time at which a token was issued follows from the end of its session.
    expires_at = timezone.now() + api_settings.REFRESH_TOKEN_LIFETIME
    sessions = [Session(user=user, refresh_jti=new_jti(), expires_at=expires_at) for user in users]
    pairs = [issue_pair(session) for session in sessions]
    Session.objects.bulk_create(sessions)
    return [
        {"id": str(user.pk), "email": user.email, "token": pair.access}
        for user, pair in zip(users, pairs, strict=True)
    ]


def posts(count: int) -> list[str]:
    """Publish posts of ten authors."""
    from apps.accounts.models import User
    from apps.posts.services import post_create

    users(10)
    authors = list(User.objects.order_by("-id")[:10])
    return [
        str(
            post_create(
                authors[n % 10],
                title=f"Post number {n}",
                content=TEXT,
                status="published",
                tags=["bench", "parley"],
            ).pk
        )
        for n in range(count)
    ]


def community(count: int) -> dict[str, list[dict[str, Any]]]:
    """Make realistic posts of many authors, who are logged in."""
    authors = users(AUTHORS)
    written = fill([author["id"] for author in authors], count)
    return {"users": authors, "posts": [asdict(post) for post in written]}


def jobs(count: int) -> None:
    """Enqueue jobs that do nothing, in one transaction."""
    from apps.jobs.enqueuing import jobs_enqueue
    from bench.tasks import nothing

    with transaction.atomic():
        jobs_enqueue((nothing, ()) for _ in range(count))


def main(what: str, count: int) -> None:
    """Make the rows and print them."""
    django.setup()
    makers: dict[str, Any] = {"users": users, "posts": posts, "community": community, "jobs": jobs}
    print(json.dumps(makers[what](count)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
