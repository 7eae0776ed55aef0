"""Base serializers: camelCase on the wire, and fields that take what they say and nothing else."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from rest_framework import serializers

INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def camelize(name: str) -> str:
    """Return snake_case as camelCase."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def one_at_least(*names: str) -> dict[str, Any]:
    """Return the rule that one of these fields must be given."""
    return {"anyOf": [{"required": [name]} for name in names]}


class CamelSerializer(serializers.Serializer[Any]):
    """Names its fields in camelCase outside and as declared inside.

    Keys are renamed where they are declared, so that JSON which a user stored keeps its own.
    """

    # What OpenAPI should say of the whole, such as fields of which one at least is needed.
    rule: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def load(cls, data: Any) -> dict[str, Any]:
        """Return the validated data under its inside names; raise ValidationError with all that is
        wrong in it."""
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
            outside = camelize(name)
            if outside != name and field.source is None:
                field.source = name
            fields[outside] = field
        return fields


@cache
def _of_class(cls: type[CamelSerializer]) -> CamelSerializer:
    # A serializer copies its fields when it is made, which costs more than all of its work. One of
    # each class, to which no data is ever bound, does for all threads.
    return cls()


def shows_something(text: str) -> bool:
    """Return whether there is more in the text than white space, control and format characters.

    Characters that this Python's Unicode does not know yet count: they may be next year's emoji.
    """
    return any(unicodedata.category(sign) not in INVISIBLE for sign in text)


class Text(serializers.CharField):
    """A string: numbers are not turned into one, and white space around it does not count."""

    def to_internal_value(self, data: Any) -> str:
        """Return the string; fail for any other type, and for one in which there is nothing to see,
        as of zero-width spaces only."""
        if not isinstance(data, str):
            self.fail("invalid")
        text = super().to_internal_value(data)
        if text and not shows_something(text):
            self.fail("blank")
        return text


class WholeNumber(serializers.IntegerField):
    """An integer: a string of digits is not one."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number; fail for any other type."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Identifier(serializers.UUIDField):
    """A UUID in its canonical form."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the UUID; fail for the other forms that Python reads."""
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class ShortList(serializers.ListField):
    """A list whose length is looked at before its items, and of whose items the first few wrong
    ones are named: each costs a tenth of a millisecond, in which sockets and requests wait."""

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
