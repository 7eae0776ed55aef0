"""Accounts over HTTP."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import logins, selectors, services, sessions
from apps.accounts.requests import PersonRequest, device_of, hold_back
from apps.accounts.serializers import (
    AuthAnswer,
    LoginInput,
    OwnUser,
    PasswordChangeInput,
    ProfileInput,
    PublicUser,
    RefreshInput,
    RegisterInput,
    SessionShape,
    TicketAnswer,
    UserQuery,
)
from apps.core.addresses import network_of
from apps.core.http.conditional import conditional_answer
from apps.core.http.envelope import answer
from apps.core.http.idempotency import Finish, in_two_steps
from apps.core.http.middleware import client_address
from apps.core.http.pagination import ListQuery, paginate
from apps.core.http.schema import paginated
from apps.core.http.viewsets import ApiViewSet
from apps.core.ratelimit import spend_action


class AuthViewSet(ApiViewSet):
    """Registering, logging in and out, and one's own profile."""

    limits = {"register": "register", "password_change": "password", "ws_ticket": "ws_ticket"}
    secret = {"register", "login", "refresh", "password_change", "ws_ticket"}
    never_kept = {"ws_ticket"}

    @extend_schema(request=RegisterInput, responses={201: AuthAnswer})
    @action(
        detail=False, methods=["post"], permission_classes=[AllowAny], authentication_classes=[]
    )
    def register(self, request: Request) -> Response:
        """Make an account and log in."""
        login = logins.user_register(**RegisterInput.read(request.data), device=device_of(request))
        return answer("Registration successful", _auth_answer(login), status=201)

    @extend_schema(request=LoginInput, responses={200: AuthAnswer})
    @action(
        detail=False, methods=["post"], permission_classes=[AllowAny], authentication_classes=[]
    )
    def login(self, request: Request) -> Response:
        """Log in on one more device."""
        given, device = LoginInput.read(request.data), device_of(request)
        hold_back(request, logins.login_attempt(email=given["email"], address=device.address))
        login = logins.user_login(**given, device=device)
        return answer("Login successful", _auth_answer(login))

    @extend_schema(request=RefreshInput, responses={200: AuthAnswer})
    @action(
        detail=False, methods=["post"], permission_classes=[AllowAny], authentication_classes=[]
    )
    def refresh(self, request: Request) -> Response:
        """Exchange a refresh token, once, for a new pair."""
        login = sessions.session_refresh(
            **RefreshInput.read(request.data), device=device_of(request)
        )
        return answer("Token refreshed", _auth_answer(login))

    @extend_schema(request=None, responses={200: None})
    @action(detail=False, methods=["post"])
    def logout(self, request: PersonRequest) -> Response:
        """End this session: its tokens and sockets are dead at once."""
        sessions.session_logout(request.user, session=request.auth)
        return answer("Logout successful")

    @extend_schema(responses={200: OwnUser})
    @action(detail=False, methods=["get"])
    def profile(self, request: PersonRequest) -> Response:
        """Return one's own profile."""
        user = request.user
        shown = OwnUser.show(user)
        return conditional_answer(request, "Profile retrieved", shown, str(user.version))

    @extend_schema(request=ProfileInput, responses={200: OwnUser})
    @profile.mapping.put
    def profile_replace(self, request: PersonRequest) -> Response:
        """Change what is given of one's own profile."""
        return self.profile_update(request)

    @extend_schema(request=ProfileInput, responses={200: OwnUser})
    @profile.mapping.patch
    def profile_update(self, request: PersonRequest) -> Response:
        """Change what is given of one's own profile."""
        user = services.profile_update(
            request.user,
            if_match=request.headers.get("If-Match", ""),
            **ProfileInput.read(request.data),
        )
        return conditional_answer(request, "Profile updated", OwnUser.show(user), str(user.version))

    @extend_schema(parameters=[ListQuery], responses={200: SessionShape(many=True)})
    @action(detail=False, methods=["get"])
    @paginated
    def sessions(self, request: PersonRequest) -> Response:
        """List the devices that one is logged in on, the last used first."""
        query = ListQuery.read(request.query_params.dict())
        found = paginate(selectors.sessions_of(request.user), query)
        return answer(
            "Sessions retrieved successfully",
            SessionShape.show_all(selectors.sessions_shown(found.rows, request.auth)),
            pagination=found.pagination,
        )

    @extend_schema(responses={200: None})
    @action(
        detail=False,
        methods=["delete"],
        url_path=f"sessions/(?P<session_id>{ApiViewSet.lookup_value_regex})",
    )
    def session_end(self, request: PersonRequest, session_id: UUID) -> Response:
        """Log one of one's own devices out."""
        sessions.session_end(request.user, session_id=session_id)
        return answer("Session ended")

    @extend_schema(request=PasswordChangeInput, responses={200: None})
    @action(detail=False, methods=["post"], url_path="password/change")
    @in_two_steps
    def password_change(self, request: PersonRequest) -> Finish:
        """Change the password; every other session ends."""
        change = services.password_change_prepare(
            request.user, **PasswordChangeInput.read(request.data)
        )

        def finish() -> Response:
            services.password_change(request.user, session_id=request.auth.pk, change=change)
            return answer("Password changed")

        return finish

    @extend_schema(request=None, responses={200: TicketAnswer})
    @action(detail=False, methods=["post"], url_path="ws-ticket")
    def ws_ticket(self, request: PersonRequest) -> Response:
        """Return a ticket that opens one websocket within its time."""
        ticket = services.ticket_issue(request.user, session=request.auth)
        return answer("Ticket issued", {"ticket": ticket, "expiresIn": services.TICKET_SECONDS})


class UserViewSet(ApiViewSet):
    """People, as everybody sees them."""

    permission_classes = (AllowAny,)

    @extend_schema(parameters=[UserQuery], responses={200: PublicUser(many=True)})
    @paginated
    def list(self, request: Request) -> Response:
        """List people, the newest first, by a part of the name if given."""
        query = UserQuery.read(request.query_params.dict())
        search = query.get("search", "")
        if search:
            # Which looks at every name.
            spend_action("search_users", network_of(client_address(request)))
        found = paginate(selectors.users_visible(search), query)
        return answer(
            "Users retrieved successfully",
            PublicUser.show_all(found.rows),
            pagination=found.pagination,
        )

    @extend_schema(responses={200: PublicUser})
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """Return one person."""
        user = selectors.user_get(pk)
        return conditional_answer(
            request, "User retrieved successfully", PublicUser.show(user), str(user.version)
        )


def _auth_answer(login: sessions.Login) -> dict[str, Any]:
    return {
        "user": OwnUser.show(login.user),
        "accessToken": login.tokens.access,
        "refreshToken": login.tokens.refresh,
        "expiresIn": login.tokens.expires_in,
    }
