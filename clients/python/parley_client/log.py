"""The log of the client: one line for each thing that happened, never a token or a text of a user.

Each record also has the name of what happened as `happened`, and its values as `fields`, so that a
program can read them without parsing the line.
"""

import logging
from typing import Any

logger = logging.getLogger("parley_client")


def note(happened: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log that something happened, with its values."""
    if logger.isEnabledFor(level):
        values = "".join(f" {name}={value}" for name, value in fields.items())
        logger.log(level, "%s%s", happened, values, extra={"happened": happened, "fields": fields})
