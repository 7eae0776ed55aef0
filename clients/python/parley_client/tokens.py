"""Where access tokens come from."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import httpx

from parley_client.answers import answered
from parley_client.errors import Refused
from parley_client.log import note

Keep = Callable[[str, str], None]


class AccessTokens(Protocol):
    """What the client asks for access tokens. An application may give a class of its own."""

    async def token(self, http: httpx.AsyncClient, rejected: str) -> str:
        """Return an access token other than `rejected`, which the server takes no more; it is empty
        if none was rejected.

        Raise Refused if there is none, which ends the client, and ConnectionLost to try later.
        """


class Login:
    """The tokens of one session: from a login, or given by the application.

    `keep` is called with each new pair of access and refresh token. A refresh token is good once,
    so an application that stores the pair must store each of them.
    """

    def __init__(
        self,
        email: str = "",
        password: str = "",
        *,
        access: str = "",
        refresh: str = "",
        keep: Keep | None = None,
    ) -> None:
        self._email = email
        self._password = password
        self._access = access
        self._refresh = refresh
        self._keep = keep
        # Two requests that are refused at once must not use up one refresh token twice.
        self._one = asyncio.Lock()

    async def token(self, http: httpx.AsyncClient, rejected: str) -> str:
        """Return the present access token, or get a new pair: by the refresh token, or if the
        server takes that no more by logging in again."""
        async with self._one:
            if not self._access or self._access == rejected:
                await self._renew(http)
            return self._access

    async def _renew(self, http: httpx.AsyncClient) -> None:
        if self._refresh:
            try:
                await self._get(http, "refresh", {"refreshToken": self._refresh})
            except Refused as refused:
                if refused.transient or not self._password:
                    raise
                self._refresh = ""
                note("refresh refused", code=refused.code)
            else:
                return
        if not self._password:
            raise Refused("UNAUTHORIZED", "The token is not valid, and there is no password.")
        await self._get(http, "login", {"email": self._email, "password": self._password})

    async def _get(self, http: httpx.AsyncClient, how: str, body: dict[str, str]) -> None:
        data = (await answered(http.post(f"/api/v1/auth/{how}", json=body)))["data"]
        self._access, self._refresh = data["accessToken"], data["refreshToken"]
        note("tokens renewed", how=how)
        if self._keep is not None:
            self._keep(self._access, self._refresh)
