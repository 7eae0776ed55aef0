"""JSON schemas of serializers without routes, for documents other than OpenAPI."""

from typing import Literal

from drf_spectacular.plumbing import ComponentRegistry
from rest_framework.generics import GenericAPIView

from apps.core.examples import Schema
from apps.core.http.schema import EnvelopeSchema
from apps.core.http.schema_enums import name_enums
from apps.core.http.schema_parts import error_code, register
from apps.core.serializers import CamelSerializer


class Components:
    """A set of schemas that refer to each other; each is described once."""

    def __init__(self) -> None:
        self.registry = ComponentRegistry()
        register(self.registry, "ErrorCode", error_code())
        # The library describes serializers only for a view, so there is an empty one.
        self._mapper = EnvelopeSchema()
        self._mapper.view = GenericAPIView(request=None, format_kwarg=None)
        self._mapper.method, self._mapper.path, self._mapper.registry = "GET", "", self.registry

    def refer(
        self, serializer: type[CamelSerializer], direction: Literal["request", "response"]
    ) -> Schema:
        """Return a reference to the schema of a serializer, as it is read or as it is sent. A
        serializer without fields stands for any object."""
        component = self._mapper.resolve_serializer(serializer(), direction)
        return component.ref if component else {"type": "object"}

    def schemas(self) -> dict[str, Schema]:
        """Return the schemas of all references so far, with a name for each set of choices."""
        described = {"components": self.registry.build({})}
        named = name_enums(described, generator=self)
        schemas: dict[str, Schema] = named["components"]["schemas"]
        return schemas
