"""Routes: the one way from a request to a committed answer.

A route runs in this order, and each step is a line of `_Flow.run`: who is calling (401), rate (429), role (403),
unknown query names (422), body (413, 415, 400), Idempotency-Key (replay, 409, 422), the endpoint, the stored answer,
COMMIT, and only then the response. An endpoint therefore only parses, calls a command and shows the result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from shared.data import idempotency
from shared.messaging.transaction import Tx
from shared.ops.failpoints import reach
from shared.web.auth import Caller, Policy
from shared.web.body import Plain, is_text, read_json, read_plain
from shared.web.dependants import query_names, refuse_threads
from shared.web.paging import Page
from shared.web.problems import from_validation, refuse, request_id_of
from shared.web.versions import etag

if TYPE_CHECKING:
    from uuid import UUID

    from shared.service import Running

E = TypeVar("E", bound=Callable[..., Any])
KEPT_HEADERS = ("etag", "location", "x-correlation-id")


class Body(BaseModel):
    """Base of request models: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Nothing(Body):
    """A call that needs no more than its name; also sent without a body."""


class Resource(BaseModel):
    """Base of answers that have an address, a version or a thread; the route makes the headers from these."""

    # what an answer always has is required in its schema, also where the class has a default
    model_config = ConfigDict(extra="ignore", json_schema_serialization_defaults_required=True)
    collection: ClassVar[str] = ""

    @property
    def thread(self) -> UUID | None:
        """For `X-Correlation-Id`."""
        return None


@dataclass(frozen=True, slots=True)
class Rule:
    """What the kernel must know of a route."""

    policy: Policy
    transaction: bool = True
    reads_json: bool = True
    reads: Plain | None = None
    """The kind of body where it is not JSON."""
    refuses: frozenset[str] = frozenset()
    by: frozenset[str] = frozenset()
    """The hats of which a caller needs one towards the resource; none: whoever the policy admits."""
    patches: type[BaseModel] | None = None
    """What the merged resource must fit, where the body of a PATCH is read as plain JSON."""


class Router:
    """Collects the routes of one resource. Every route names its policy, or the service does not start.

    `refuses` are the problem codes of its own rules; those of the conventions (tokens, versions, ...) it has anyway.
    `by` are the hats that its command asks for, `LIFECYCLE.who("publish")`; the documents tell them.
    """

    def __init__(self, tag: str) -> None:
        self.routes = APIRouter(tags=[tag], route_class=_Route, strict_content_type=False)

    def get(
        self,
        path: str,
        policy: Policy,
        *,
        refuses: Iterable[str] = (),
        transaction: bool = True,
        **options: Any,  # noqa: ANN401
    ) -> Callable[[E], E]:
        """A reading route; `transaction=False` for streams, which must not hold a connection."""
        return self._add("GET", path, Rule(policy, transaction, refuses=frozenset(refuses)), options)

    def post(
        self,
        path: str,
        policy: Policy,
        *,
        status: int = 200,
        by: Iterable[str] = (),
        refuses: Iterable[str] = (),
        transaction: bool = True,
        reads_json: bool = True,
        reads: Plain | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Callable[[E], E]:
        """A creation (201) or a state change (200).

        `reads` names another kind of body than JSON, `reads_json=False` leaves the body to the endpoint.
        """
        rule = Rule(policy, transaction, reads_json and reads is None, reads, frozenset(refuses), frozenset(by))
        return self._add("POST", path, rule, {"status_code": status, **options})

    def patch(
        self,
        path: str,
        policy: Policy,
        *,
        by: Iterable[str] = (),
        refuses: Iterable[str] = (),
        patches: type[BaseModel] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Callable[[E], E]:
        """A JSON merge patch; `patches` says in the documents what a body of plain JSON is merged into."""
        rule = Rule(policy, refuses=frozenset(refuses), by=frozenset(by), patches=patches)
        return self._add("PATCH", path, rule, options)

    def _add(self, method: str, path: str, rule: Rule, options: dict[str, Any]) -> Callable[[E], E]:
        def register(endpoint: E) -> E:
            remembering = _remembering(endpoint)
            remembering.__rule__ = rule  # type: ignore[attr-defined]
            name = endpoint.__name__
            self.routes.add_api_route(path, remembering, methods=[method], operation_id=name, name=name, **options)
            return endpoint

        return register


def _remembering(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Lets the route see the model that the endpoint returns, for the headers."""

    @wraps(endpoint)
    async def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = await endpoint(*args, **kwargs)
        _shown.set(result)
        return result

    return call


# the result of the endpoint that runs in this task; FastAPI gives no other way to see it
_shown: ContextVar[Any] = ContextVar("shown", default=None)


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        rule = getattr(self.endpoint, "__rule__", None)
        if not isinstance(rule, Rule):
            msg = f"{self.path} has no policy"
            raise TypeError(msg)
        refuse_threads(self.path, self.dependant)
        return _Flow(
            rule,
            super().get_route_handler(),
            frozenset(query_names(self.dependant)),
            reads_json=rule.reads_json and not self._takes_form(),
        ).run

    def _takes_form(self) -> bool:
        return self.body_field is not None and isinstance(self.body_field.field_info, Form)


@dataclass(frozen=True)
class _Flow:
    rule: Rule
    endpoint: Callable[[Request], Coroutine[Any, Any, Response]]
    known_queries: frozenset[str]
    reads_json: bool

    async def run(self, request: Request) -> Response:
        running: Running = request.app.state.running
        caller = await self._admit(request, running)
        request.state.caller = caller
        self._check_query(request)
        body = await self._read(request)
        if not self.rule.transaction:
            return await self._answer(request)
        async with running.transactions.request(caller, request_id_of(request.scope)) as tx:
            request.state.tx = tx
            response = await self._once(request, running, tx, body)
            reach("api.answered")
            await tx.commit()
        reach("api.committed")
        return response

    async def _admit(self, request: Request, running: Running) -> Caller | None:
        if self.rule.policy.public:
            return None
        caller = await running.verifier.caller(request)
        running.limiter.check(caller.sub)
        self.rule.policy.admit(caller)
        return caller

    async def _read(self, request: Request) -> Any:  # noqa: ANN401 (any JSON)
        """What makes two bodies the same: the JSON, or a digest of another kind of body."""
        if self.rule.reads is not None:
            return hashlib.sha256(await read_plain(request, self.rule.reads)).hexdigest()
        return await read_json(request) if self.reads_json and request.method != "GET" else None

    def _check_query(self, request: Request) -> None:
        errors = [
            {"pointer": f"?{name}", "code": "unknown_parameter", "message": "This parameter is not known here"}
            for name in request.query_params
            if name not in self.known_queries
        ]
        errors += [
            {"pointer": f"?{name}", "code": "invalid_text", "message": "NUL and lone surrogates are not text"}
            for name, value in request.query_params.multi_items()
            if not is_text(value)
        ]
        if errors:
            raise refuse("validation_failed", f"{errors[0]['pointer']}: {errors[0]['message']}", errors=errors)

    async def _once(self, request: Request, running: Running, tx: Tx, body: Any) -> Response:  # noqa: ANN401
        key = request.headers.get("idempotency-key")
        if key is None or request.method != "POST" or tx.caller is None:
            return await self._answer(request)
        idempotency.check_key(key)
        target = f"{request.url.path}?{request.url.query}"
        mark = idempotency.fingerprint(request.method, target, body)
        now = tx.clock.real()
        stored = await running.replays.begin(tx.session, tx.caller.sub, key, mark, now)
        if stored is not None:
            headers = {**stored.headers, "Idempotency-Replayed": "true"}
            return Response(stored.body, stored.status, headers)
        response = await self._answer(request)
        if response.status_code < 300:  # noqa: PLR2004 (only successes are kept)
            await running.replays.store(tx.session, tx.caller.sub, key, mark, _kept(response), now)
        return response

    async def _answer(self, request: Request) -> Response:
        _shown.set(None)
        try:
            response = await self.endpoint(request)
        except RequestValidationError as error:
            raise from_validation(error.errors()) from error
        _add_headers(request, response, _shown.get())
        return response


def _kept(response: Response) -> idempotency.Stored:
    headers = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
    if response.body:
        headers["content-type"] = response.headers.get("content-type", "application/json")
    body = idempotency.without_secrets(bytes(response.body)) if response.body else b""
    return idempotency.Stored(response.status_code, headers, body)


def _add_headers(request: Request, response: Response, shown: Any) -> None:  # noqa: ANN401
    if isinstance(shown, Page) and shown.next is not None:
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        target = f"{request.url.path}?{urlencode([*query, ('cursor', shown.next)])}"
        response.headers["Link"] = f'<{target}>; rel="next"'
    if not isinstance(shown, Resource):
        return
    version = getattr(shown, "version", None)
    if version is not None:
        response.headers["ETag"] = etag(version)
    if response.status_code == 201 and shown.collection:  # noqa: PLR2004 (created)
        response.headers["Location"] = f"/{shown.collection}/{shown.id}"  # type: ignore[attr-defined]
    if shown.thread is not None:
        response.headers["X-Correlation-Id"] = str(shown.thread)


async def _tx(request: Request) -> Tx:
    tx: Tx = request.state.tx
    return tx


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _running(request: Request) -> Running:
    running: Running = request.app.state.running
    return running


TxDep = Annotated[Tx, Depends(_tx)]
CallerDep = Annotated[Caller, Depends(_caller)]
RunningDep = Annotated[Any, Depends(_running)]
