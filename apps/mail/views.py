"""What users do by mail, over HTTP."""

from collections.abc import Callable

from rest_framework.decorators import action
from rest_framework.request import Request

from apps.accounts.errors import EmailTaken, SessionOver, WrongPassword
from apps.accounts.requests import UserRequest
from apps.core.addresses import network_of
from apps.core.errors import RateLimited
from apps.core.http.endpoints import Access, Endpoint
from apps.core.http.middleware import client_address
from apps.core.http.viewsets import ApiViewSet
from apps.mail import services
from apps.mail.errors import AddressUnchanged, InvalidLink
from apps.mail.serializers import AddressInput, EmailChangeInput, NewPasswordInput, TokenInput


class EmailViewSet(ApiViewSet):
    """Verifying and changing the user's address."""

    @action(detail=False, methods=["post"], url_path="verify")
    @Endpoint(
        message="Email address verified",
        input=TokenInput,
        access=Access.CREDENTIALS,
        limit="mail_link",
        refuses=[InvalidLink],
        secret=True,
    )
    def verify(self, request: Request, token: str) -> None:
        """Verify an address by the token that was mailed to it."""
        services.email_verify(token=token)

    @action(detail=False, methods=["post"], url_path="verify/resend")
    @Endpoint(
        message="If an account waits for it, the mail is on its way",
        input=AddressInput,
        access=Access.CREDENTIALS,
        refuses=[RateLimited],
    )
    def verify_resend(self, request: Request, email: str) -> None:
        """Mail the link that verifies an address again."""
        services.verification_request(email=email, network=network_of(client_address(request)))

    @action(detail=False, methods=["post"], url_path="change")
    @Endpoint(
        message="The new address was mailed a link that confirms it",
        input=EmailChangeInput,
        limit="email_change",
        refuses=[WrongPassword, AddressUnchanged, SessionOver, EmailTaken],
        secret=True,
        hashes=True,
    )
    def change(
        self, request: UserRequest, new_email: str, current_password: str
    ) -> Callable[[], None]:
        """Ask for another address, which is the user's when they have confirmed it."""
        compared_with = services.email_change_prepare(
            request.user, current_password=current_password
        )

        def finish() -> None:
            services.email_change_request(
                request.user,
                new_email=new_email,
                compared_with=compared_with,
                session_id=request.auth.pk,
            )

        return finish

    @action(detail=False, methods=["post"], url_path="change/confirm")
    @Endpoint(
        message="Email address changed",
        input=TokenInput,
        access=Access.CREDENTIALS,
        limit="mail_link",
        refuses=[InvalidLink, EmailTaken],
        secret=True,
    )
    def change_confirm(self, request: Request, token: str) -> None:
        """Change the address by the token that was mailed to the new one."""
        services.email_change(token=token)

    @action(detail=False, methods=["post"], url_path="change/undo")
    @Endpoint(
        message="Email address restored",
        input=TokenInput,
        access=Access.CREDENTIALS,
        limit="mail_link",
        refuses=[InvalidLink, EmailTaken],
        secret=True,
    )
    def change_undo(self, request: Request, token: str) -> None:
        """Restore the address by the token that was mailed to the old one, and end every session
        and the password."""
        services.email_change_undo(token=token)


class PasswordViewSet(ApiViewSet):
    """Resetting a forgotten password."""

    @action(detail=False, methods=["post"], url_path="reset")
    @Endpoint(
        message="If there is such an account, the mail is on its way",
        input=AddressInput,
        access=Access.CREDENTIALS,
        refuses=[RateLimited],
    )
    def reset(self, request: Request, email: str) -> None:
        """Mail a link to choose a new password."""
        services.password_reset_request(email=email, network=network_of(client_address(request)))

    @action(detail=False, methods=["post"], url_path="reset/confirm")
    @Endpoint(
        message="Password changed",
        input=NewPasswordInput,
        access=Access.CREDENTIALS,
        limit="mail_link",
        refuses=[InvalidLink],
        secret=True,
        hashes=True,
    )
    def reset_confirm(self, request: Request, token: str, new_password: str) -> None:
        """Set a new password by the token that was mailed, and end every session."""
        services.password_reset(token=token, new_password=new_password)
