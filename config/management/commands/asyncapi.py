"""`manage.py asyncapi`: writes the AsyncAPI document."""

from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandParser
from drf_spectacular.renderers import OpenApiYamlRenderer

from apps.realtime.asyncapi import document


class Command(BaseCommand):
    """Writes asyncapi.yaml."""

    help = "Writes the AsyncAPI document of the websocket."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the path of the file."""
        parser.add_argument("--file", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the document, in the style of openapi.yaml."""
        text = OpenApiYamlRenderer().render(document(), renderer_context={})
        options["file"].write_bytes(text)
