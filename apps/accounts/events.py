"""Who may follow what the accounts announce: user.<id> is one's own."""

from apps.realtime import registry

registry.stream("user", lambda user_id, rest: str(user_id) == rest)
