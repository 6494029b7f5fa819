"""The documents that one service serves, made when they are first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from shared.contracting import asyncapi, openapi, schemas

if TYPE_CHECKING:
    from shared.contracting.schemas import Json
    from shared.service import Service


class Documents:
    """OpenAPI, AsyncAPI and the schemas of the service's own events."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @cached_property
    def openapi(self) -> Json:
        """Its HTTP API and webhooks."""
        return openapi.of_service(self._service)

    @cached_property
    def asyncapi(self) -> Json:
        """What it publishes and hears."""
        return asyncapi.of_service(self._service)

    def schema(self, name: str, version: str) -> Json | None:
        """JSON Schema of one event version; None for an event that is not its own."""
        return self._schemas.get(f"{name}.v{version}")

    @cached_property
    def _schemas(self) -> dict[str, Json]:
        return {schemas.versioned(event): schemas.of_event(event) for event in self._service.publishes}
