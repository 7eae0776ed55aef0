"""Accounts over HTTP."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.decorators import action
from rest_framework.request import Request

from apps.accounts import (
    hot_reads,
    logins,
    password_changes,
    profiles,
    relations,
    selectors,
    sessions,
    tickets,
)
from apps.accounts.errors import (
    AccountSuspended,
    EmailTaken,
    EmptyProfileUpdate,
    InvalidCredentials,
    InvalidToken,
    Oneself,
    SessionNotFound,
    SessionOver,
    UserNotFound,
    UsersBlocked,
    WrongPassword,
)
from apps.accounts.models import Block, Follow, Session, User
from apps.accounts.requests import UserRequest, current_user, delay_response, device_of
from apps.accounts.serializers import (
    LoginInput,
    LoginOutput,
    PasswordChangeInput,
    ProfileInput,
    ProfileOutput,
    RefreshInput,
    RegisterInput,
    SessionOutput,
    TicketOutput,
    UserOutput,
    UserQuery,
)
from apps.core.addresses import network_of
from apps.core.errors import RateLimited
from apps.core.http.endpoints import Access, Endpoint
from apps.core.http.middleware import client_address
from apps.core.http.pagination import Listing, ListQuery
from apps.core.http.viewsets import ApiViewSet
from apps.core.ratelimit import consume_action

PROFILE_CHANGE = Endpoint(
    message="Profile updated",
    input=ProfileInput,
    output=ProfileOutput,
    refuses=[EmptyProfileUpdate],
    revision="version",
)


class AuthViewSet(ApiViewSet):
    """Registering, logging in and out, and the user's own profile."""

    @action(detail=False, methods=["post"])
    @Endpoint(
        message="Registration successful",
        status=201,
        input=RegisterInput,
        output=LoginOutput,
        access=Access.CREDENTIALS,
        limit="register",
        refuses=[EmailTaken],
        secret=True,
        hashes=True,
    )
    def register(self, request: Request, **data: Any) -> sessions.Login:
        """Create an account and log in."""
        return logins.user_register(**data, device=device_of(request))

    @action(detail=False, methods=["post"])
    @Endpoint(
        message="Login successful",
        input=LoginInput,
        output=LoginOutput,
        access=Access.CREDENTIALS,
        refuses=[InvalidCredentials, AccountSuspended, RateLimited],
        secret=True,
        hashes=True,
    )
    def login(self, request: Request, email: str, password: str) -> sessions.Login:
        """Log in on one more device."""
        device = device_of(request)
        delay_response(request, logins.login_attempt(email=email, address=device.address))
        return logins.user_login(email=email, password=password, device=device)

    @action(detail=False, methods=["post"])
    @Endpoint(
        message="Token refreshed",
        input=RefreshInput,
        output=LoginOutput,
        access=Access.CREDENTIALS,
        refuses=[InvalidToken, SessionOver],
        secret=True,
    )
    def refresh(self, request: Request, refresh_token: str) -> sessions.Login:
        """Exchange a refresh token, once, for a new pair."""
        return sessions.session_refresh(refresh_token=refresh_token, device=device_of(request))

    @action(detail=False, methods=["post"])
    @Endpoint(message="Logout successful")
    def logout(self, request: UserRequest) -> None:
        """End this session: its tokens and sockets stop working at once."""
        sessions.session_logout(request.user, session=request.auth)

    @action(detail=False, methods=["get"])
    @Endpoint(message="Profile retrieved", output=ProfileOutput, revision="version")
    def profile(self, request: UserRequest) -> User:
        """Return the profile of the user."""
        return request.user

    @profile.mapping.put
    @PROFILE_CHANGE
    def profile_update(self, request: UserRequest, **changes: Any) -> User:
        """Change the given fields of the user's profile."""
        return profiles.profile_update(request.user, **changes)

    @profile.mapping.patch
    @PROFILE_CHANGE
    def profile_partial_update(self, request: UserRequest, **changes: Any) -> User:
        """Change the given fields of the user's profile."""
        return profiles.profile_update(request.user, **changes)

    @action(detail=False, methods=["get"])
    @Endpoint(
        message="Sessions retrieved successfully",
        query=ListQuery,
        output=SessionOutput,
        per_page=10,
    )
    def sessions(self, request: UserRequest) -> Listing[Session]:
        """List the user's active sessions, the last used first."""
        return Listing(
            selectors.sessions_of(request.user),
            partial(selectors.sessions_shown, current=request.auth),
        )

    @action(
        detail=False,
        methods=["delete"],
        url_path=f"sessions/(?P<session_id>{ApiViewSet.lookup_value_regex})",
    )
    @Endpoint(message="Session ended", refuses=[SessionNotFound])
    def session_end(self, request: UserRequest, session_id: UUID) -> None:
        """End one of the user's sessions."""
        sessions.session_end(request.user, session_id=session_id)

    @action(detail=False, methods=["post"], url_path="password/change")
    @Endpoint(
        message="Password changed",
        input=PasswordChangeInput,
        limit="password",
        refuses=[WrongPassword],
        secret=True,
        hashes=True,
    )
    def password_change(self, request: UserRequest, **passwords: Any) -> Callable[[], None]:
        """Change the password and end every other session."""
        change = password_changes.password_change_prepare(request.user, **passwords)

        def finish() -> None:
            password_changes.password_change(
                request.user, session_id=request.auth.pk, change=change
            )

        return finish

    @action(detail=False, methods=["post"], url_path="ws-ticket")
    @Endpoint(message="Ticket issued", output=TicketOutput, limit="ws_ticket", secret=True)
    def ws_ticket(self, request: UserRequest) -> dict[str, Any]:
        """Return a ticket that opens one websocket before it expires."""
        ticket = tickets.ticket_issue(request.user, session=request.auth)
        return {"ticket": ticket, "expires_in": tickets.TICKET_SECONDS}


class UserViewSet(ApiViewSet):
    """Users as everybody sees them."""

    @Endpoint(
        message="Users retrieved successfully",
        query=UserQuery,
        output=UserOutput,
        per_page=hot_reads.PER_PAGE,
        access=Access.ANYONE,
        refuses=[RateLimited],
        hot=hot_reads.USER_LIST,
    )
    def list(self, request: Request, search: str = "") -> Listing[Any]:
        """List users, the newest first. `search` is a part of the name."""
        if search:
            # A search reads every name.
            consume_action("search_users", network_of(client_address(request)))
            return hot_reads.listing(selectors.users_visible(search, current_user(request)))
        return hot_reads.listing(selectors.users_visible())

    @Endpoint(
        message="User retrieved successfully",
        output=UserOutput,
        access=Access.ANYONE,
        refuses=[UserNotFound],
        revision="version",
        hot=hot_reads.USER_BY_ID,
    )
    def retrieve(self, request: Request, pk: UUID) -> User:
        """Return one user."""
        return selectors.user_get(pk)

    @action(detail=True, methods=["post"])
    @Endpoint(
        message="User followed", limit="follow", refuses=[Oneself, UserNotFound, UsersBlocked]
    )
    def follow(self, request: UserRequest, pk: str) -> None:
        """Follow a user."""
        relations.user_follow(request.user, user_id=UUID(pk))

    @follow.mapping.delete
    @Endpoint(message="User unfollowed", limit="follow", refuses=[Oneself, UserNotFound])
    def unfollow(self, request: UserRequest, pk: str) -> None:
        """Follow a user no longer."""
        relations.user_unfollow(request.user, user_id=UUID(pk))

    @action(detail=True, methods=["post"])
    @Endpoint(message="User blocked", limit="block", refuses=[Oneself, UserNotFound])
    def block(self, request: UserRequest, pk: str) -> None:
        """Block a user, in both directions, and end following in both."""
        relations.user_block(request.user, user_id=UUID(pk))

    @block.mapping.delete
    @Endpoint(message="User unblocked", limit="block", refuses=[Oneself, UserNotFound])
    def unblock(self, request: UserRequest, pk: str) -> None:
        """End one's own block of a user."""
        relations.user_unblock(request.user, user_id=UUID(pk))

    @action(detail=True, methods=["get"])
    @Endpoint(
        message="Followers retrieved successfully",
        query=ListQuery,
        output=UserOutput,
        per_page=10,
        refuses=[UserNotFound, UsersBlocked],
    )
    def followers(self, request: UserRequest, pk: str) -> Listing[Follow]:
        """List those who follow a user, the latest first."""
        return Listing(
            selectors.followers_of(request.user, UUID(pk)),
            partial(selectors.users_of, "follower"),
            partial(selectors.with_user, "follower"),
        )

    @action(detail=True, methods=["get"])
    @Endpoint(
        message="Followed users retrieved successfully",
        query=ListQuery,
        output=UserOutput,
        per_page=10,
        refuses=[UserNotFound, UsersBlocked],
    )
    def following(self, request: UserRequest, pk: str) -> Listing[Follow]:
        """List those whom a user follows, the latest first."""
        return Listing(
            selectors.followed_by(request.user, UUID(pk)),
            partial(selectors.users_of, "followed"),
            partial(selectors.with_user, "followed"),
        )

    @action(detail=False, methods=["get"])
    @Endpoint(
        message="Blocked users retrieved successfully",
        query=ListQuery,
        output=UserOutput,
        per_page=10,
    )
    def blocked(self, request: UserRequest) -> Listing[Block]:
        """List the users whom one has blocked oneself, the latest first."""
        return Listing(
            selectors.blocks_by(request.user),
            partial(selectors.users_of, "blocked"),
            partial(selectors.with_user, "blocked"),
        )
