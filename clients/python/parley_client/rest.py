"""Requests to the REST API as the user."""

from collections.abc import Mapping
from typing import Any

import httpx

from parley_client.answers import answered
from parley_client.errors import ConnectionLost, Refused, Stopped, Unauthorized
from parley_client.tokens import AccessTokens


class Rest:
    """Calls the API with an access token, and with a new one if the server takes it no more."""

    def __init__(self, http: httpx.AsyncClient, tokens: AccessTokens) -> None:
        self._http = http
        self._tokens = tokens
        self._rejected = ""
        self._last = ""

    async def token(self) -> str:
        """Return an access token; raise Stopped if the user has to log in again, or
        ConnectionLost."""
        try:
            self._last = await self._tokens.token(self._http, self._rejected)
        except Refused as refused:
            if refused.transient:
                raise ConnectionLost(str(refused), retry_after=refused.retry_after) from refused
            raise Stopped(f"The server takes the credentials no more: {refused}") from refused
        return self._last

    def reject(self, token: str = "") -> None:
        """Learn that the server takes a token no more: this one, or the last one."""
        self._rejected = token or self._last

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """Return the body of a successful response to a request below /api/v1, which may take so
        many seconds.

        Raise Refused, ConnectionLost if its outcome is not known, or Stopped.
        """
        token = await self.token()
        try:
            return await self._call(token, method, path, json, params, seconds)
        except Unauthorized:
            self.reject(token)
        return await self._call(await self.token(), method, path, json, params, seconds)

    async def _call(
        self,
        token: str,
        method: str,
        path: str,
        json: Mapping[str, Any] | None,
        params: Mapping[str, Any] | None,
        seconds: float | None,
    ) -> dict[str, Any]:
        request = self._http.request(
            method,
            f"/api/v1{path}",
            json=json,
            params=params,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.USE_CLIENT_DEFAULT if seconds is None else seconds,
        )
        return await answered(request)
