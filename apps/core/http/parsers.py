"""Request bodies."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class StrictJSONParser(BaseParser):
    """Parses a JSON object.

    orjson refuses input that would cause an obscure failure later: lone surrogates, NaN, invalid
    UTF-8 and nesting beyond 1,024 levels.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the object; raise ParseError, which becomes 400, for anything else."""
        try:
            body = orjson.loads(stream.read() or b"{}")
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        if not isinstance(body, dict):
            raise ParseError("The body must be a JSON object")
        return body
