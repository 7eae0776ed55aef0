"""Base serializers: camelCase on the wire, and fields that accept their own type only."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def camelize(name: str) -> str:
    """Return snake_case as camelCase."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


class CamelSerializer(serializers.Serializer[Any]):
    """Names its fields in camelCase on the wire, and as declared in Python.

    Only the declared fields are renamed, so that the keys of JSON which a user stored stay as they
    are.
    """

    # What OpenAPI adds to the schema, such as that at least one field is required.
    rule: ClassVar[Mapping[str, Any]] = {}
    # The serializers that OpenAPI shows in place of this one, of which the data matches just one.
    variants: ClassVar[Sequence["type[CamelSerializer]"]] = ()

    @classmethod
    def load(cls, data: Any) -> dict[str, Any]:
        """Return the validated data under the declared names; raise ValidationError with every
        error in it."""
        return dict(_of_class(cls).run_validation(data))

    @classmethod
    def dump(cls, thing: Any) -> dict[str, Any]:
        """Return a thing as it is sent."""
        return dict(_of_class(cls).to_representation(thing))

    @classmethod
    def dump_all(cls, things: Iterable[Any]) -> list[dict[str, Any]]:
        """Return things as they are sent."""
        return [cls.dump(thing) for thing in things]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the declared fields under their names on the wire."""
        fields = {}
        for name, field in super().get_fields().items():
            wire_name = camelize(name)
            if wire_name != name and field.source is None:
                field.source = name
            fields[wire_name] = field
        return fields


@cache
def _of_class(cls: type[CamelSerializer]) -> CamelSerializer:
    # A serializer copies its fields when it is created, which costs more than all of its work. One
    # instance per class serves all threads, since no data is ever bound to it.
    return cls()


def has_visible_characters(text: str) -> bool:
    """Return whether the text has more than white space, control and format characters.

    Characters that this Python's Unicode does not know yet count as visible: they may be next
    year's emoji.
    """
    return any(unicodedata.category(character) not in INVISIBLE for character in text)


class _NoSurrogates(ProhibitSurrogateCharactersValidator):
    """REST framework's check, which looks at one character after the other, for texts that need
    it."""

    def __call__(self, value: Any) -> None:
        """Fail for a text with half a pair of surrogates."""
        try:
            value.encode()
        except UnicodeEncodeError:
            super().__call__(value)


class Text(serializers.CharField):
    """A string: numbers are not converted, and white space around it is removed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators = [
            _NoSurrogates() if isinstance(one, ProhibitSurrogateCharactersValidator) else one
            for one in self.validators
        ]

    def to_internal_value(self, data: Any) -> str:
        """Return the string; fail for any other type, and for a string with no visible character,
        such as zero-width spaces only."""
        if not isinstance(data, str):
            self.fail("invalid")
        text = super().to_internal_value(data)
        if text and not has_visible_characters(text):
            self.fail("blank")
        return text


class WholeNumber(serializers.IntegerField):
    """An integer: a string of digits is not one."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number; fail for any other type."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class TrueOrFalse(serializers.BooleanField):
    """A boolean: neither a number nor a word is one."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the boolean; fail for any other type."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Identifier(serializers.UUIDField):
    """A UUID in its canonical form."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the UUID; fail for other forms, which Python would accept."""
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class ShortList(serializers.ListField):
    """A list that checks its length before its items, and reports only the first few wrong items.
    Each reported item costs a tenth of a millisecond, in which sockets and requests wait."""

    MOST_NAMED = 10

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the items; fail for too many of them."""
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return list(super().to_internal_value(data))

    def run_child_validation(self, data: Sequence[Any]) -> list[Any]:
        """Return the items; fail with the errors of the first wrong ones, by their index."""
        items: list[Any] = []
        errors: Any = {}
        for index, item in enumerate(data):
            try:
                items.append(self.child.run_validation(item))
            except serializers.ValidationError as error:
                errors[index] = error.detail
                if len(errors) == self.MOST_NAMED:
                    break
        if errors:
            raise serializers.ValidationError(errors)
        return items
