"""Mail on the wire."""

from apps.accounts.serializers import Email, NewPassword, Password
from apps.core.serializers import CamelSerializer, Text


class AddressInput(CamelSerializer):
    email = Email()


class TokenInput(CamelSerializer):
    token = Text(min_length=1, max_length=100)


class NewPasswordInput(TokenInput):
    new_password = NewPassword()


class EmailChangeInput(CamelSerializer):
    new_email = Email()
    current_password = Password()
