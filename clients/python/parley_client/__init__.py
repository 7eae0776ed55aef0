"""A client of Parley that applies every event once and in order, and sends no message twice.

The rules that it keeps are in docs/realtime.md of the server.
"""

from parley_client.client import Client
from parley_client.errors import (
    ConnectionLost,
    Forbidden,
    Invalid,
    NotFound,
    ParleyError,
    RateLimited,
    Refused,
    Stopped,
    Unauthorized,
)
from parley_client.frames import Event
from parley_client.journal import FileJournal, Journal
from parley_client.pending import Message
from parley_client.streams import Position
from parley_client.timing import Backoff, Timing
from parley_client.tokens import AccessTokens, Login

__all__ = [
    "AccessTokens",
    "Backoff",
    "Client",
    "ConnectionLost",
    "Event",
    "FileJournal",
    "Forbidden",
    "Invalid",
    "Journal",
    "Login",
    "Message",
    "NotFound",
    "ParleyError",
    "Position",
    "RateLimited",
    "Refused",
    "Stopped",
    "Timing",
    "Unauthorized",
]
