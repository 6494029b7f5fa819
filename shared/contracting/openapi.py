"""The HTTP API of a service as OpenAPI 3.1: what FastAPI knows of the routes, and what the kernel adds to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from shared import __version__
from shared.contracting import patches, problems, schemas, webhooks
from shared.contracting.examples import Examples, Fill
from shared.contracting.operations import PARAMETERS, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.service import Service

Json = dict[str, Any]
HEADERS: Json = {
    "X-Request-Id": ("Id of this request, made by the server", "string"),
    "X-Correlation-Id": ("The thread that the answer belongs to", "string"),
    "ETag": ("The version in quotes; send it as If-Match to change the resource", "string"),
    "Location": ("Where the new resource is", "string"),
    "Link": ('The next page: <...>; rel="next"; absent on the last one', "string"),
    "Retry-After": ("Seconds to wait", "integer"),
    "WWW-Authenticate": ('Bearer, with error="invalid_token" when a token was sent', "string"),
    "Idempotency-Replayed": ("true when this is the first answer to the same Idempotency-Key again", "string"),
}


def of_service(service: Service) -> Json:
    """The document of one service; the same whatever the settings, but for the addresses."""
    routes = list(_routes(service))
    document = get_openapi(
        title=f"Bandung {service.name}",
        version=__version__,
        description="Conventions, events and guides: the README of the contracts.",
        license_info={"name": "Apache-2.0"},
        servers=[{"url": service.settings.base_url}],
        routes=routes,
    )
    parts = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own error document is never sent
        parts.pop(name, None)
    for part in parts.values():
        schemas.untitle(part)
    for route in routes:
        _complete(document, route, service)
    if service.delivers:
        webhooks.add(document, service)
    _add_components(document, service)
    return document


def _routes(service: Service) -> Iterator[APIRoute]:
    for router in service.routers:
        yield from (route for route in router.routes.routes if isinstance(route, APIRoute))


def _complete(document: Json, route: APIRoute, service: Service) -> None:
    parts = document["components"]["schemas"]
    operation = document["paths"][route.path_format][problems.method_of(route).lower()]
    patched = problems.rule_of(route).patches
    if patched is not None:
        operation["requestBody"]["content"]["application/json"]["schema"] = patches.add(parts, patched)
    Operation(
        route,
        operation,
        Examples(service.examples, parts, Fill.KNOWN),
        Examples(service.examples, parts, Fill.STORY),
        document["components"].setdefault("responses", {}),
    ).complete()


def _add_components(document: Json, service: Service) -> None:
    components = document["components"]
    components["schemas"] |= {"Problem": problems.PROBLEM, "ProblemError": problems.PROBLEM_ERROR}
    components["schemas"] = dict(sorted(components["schemas"].items()))
    used = sorted({code for route in _routes(service) for code in problems.codes_of(route)})
    components["examples"] = {code: problems.example(code) for code in used}
    components["headers"] = {
        name: {"description": words, "schema": {"type": kind}} for name, (words, kind) in HEADERS.items()
    }
    components["parameters"] = PARAMETERS
    components["responses"] = dict(sorted(components["responses"].items()))
    flow = {"tokenUrl": f"{service.settings.issuer}/token", "scopes": {}}
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of 15 minutes from /token of registry; the same for all services.",
        },
        "apiKey": {
            "type": "oauth2",
            "description": "Client credentials of an API key, exchanged for such a token.",
            "flows": {"clientCredentials": flow},
        },
    }
