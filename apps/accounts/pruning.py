"""Deletes expired rows of accounts."""

from django.utils import timezone

from apps.accounts.models import Session, WebsocketTicket


def accounts_prune() -> int:
    """Delete expired tickets and sessions and return how many there were. This is an action of the
    system, without an actor."""
    now = timezone.now()
    tickets = WebsocketTicket.objects.filter(expires_at__lt=now).delete()[0]
    return tickets + Session.objects.filter(expires_at__lt=now).delete()[0]
