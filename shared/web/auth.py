"""Who is calling: access tokens (JWT, Ed25519) are verified here and nowhere else."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.web.problems import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from starlette.requests import Request

    from shared.lifecycle import Refused
    from shared.web.client import Fetch

log = structlog.get_logger(__name__)

# the contract fixes `alg: EdDSA`, the name that RFC 9864 replaces by Ed25519; the algorithm is the same
warnings.filterwarnings("ignore", message=".*EdDSA.*")

ALGORITHM = "EdDSA"  # the name the contract and RFC 9068 clients use
AUDIENCE = "bandung"
TOKEN_TYPE = "at+jwt"  # noqa: S105 (RFC 9068 media type, no secret)
PLATFORM_ROLES = ("operator", "verifier")
INSTITUTION_ROLES = ("owner", "editor", "reader")
WRITERS = ("owner", "editor")
MIN_REFETCH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a verified token and the institution it acts for."""

    sub: str
    roles: frozenset[str]
    institution_id: UUID | None = None
    can_sign: bool = True
    via: Literal["api", "console", "import"] = "api"

    @property
    def is_operator(self) -> bool:
        """May administer everything."""
        return "operator" in self.roles

    @property
    def is_staff(self) -> bool:
        """Operator or verifier: sees all, answers nothing for others."""
        return bool(self.roles & set(PLATFORM_ROLES))

    def hats(self, **sides: Iterable[UUID]) -> frozenset[str]:
        """The caller's parts towards one resource: `operator`, and `<side>:<role>` for each side it is on."""
        mine = {
            f"{side}:{role}" for side, ids in sides.items() if self.institution_id in set(ids) for role in self.roles
        }
        return frozenset(mine | (self.roles & set(PLATFORM_ROLES)))

    def acting_institution(self, named: UUID | None) -> UUID:
        """For whom a new resource is made: the token's institution; an operator names it in the body."""
        if self.is_operator and named is not None:
            return named
        if self.institution_id is None:
            raise refuse("validation_failed", "Name the institution.", errors=[_institution_missing()])
        if named not in (None, self.institution_id):
            raise refuse("wrong_institution", "institution_id must be the institution of your token.")
        return self.institution_id


def _institution_missing() -> dict[str, str]:
    return {
        "pointer": "/institution_id",
        "code": "missing",
        "message": "Required, since your token acts for no institution",
    }


def hats_of(side: str, *roles: str) -> frozenset[str]:
    """The hats of a lifecycle row: `hats_of("provider", "owner", "editor")`."""
    return frozenset(f"{side}:{role}" for role in roles)


@dataclass(frozen=True, slots=True)
class Policy:
    """Which roles a route admits at all. Ownership is not here: it is a filter in the store."""

    public: bool = False
    roles: frozenset[str] = frozenset()

    def admit(self, caller: Caller) -> None:
        """Raises `forbidden` when none of the caller's roles is admitted."""
        if self.roles and not self.roles & caller.roles:
            raise refuse("forbidden", f"This needs one of the roles: {', '.join(sorted(self.roles))}.")


PUBLIC = Policy(public=True)
SIGNED_IN = Policy()


def only(*roles: str) -> Policy:
    """A policy for these roles."""
    return Policy(roles=frozenset(roles))


class KeySource(Protocol):
    """Where verification keys come from."""

    async def keys(self, kid: str) -> KeySet:
        """A key set that holds `kid` if the issuer knows it."""
        ...


class JwksCache:
    """The issuer's public keys, kept in memory and on disk, so that a restart works with registry down."""

    def __init__(self, url: str, path: Path, fetch: Fetch) -> None:
        self._url, self._path, self._fetch = url, path, fetch
        self._set = self._from_disk()
        self._asked = float("-inf")
        self._unreachable = False
        self._lock = asyncio.Lock()

    async def keys(self, kid: str) -> KeySet:
        """The cached set; asks the issuer when `kid` is unknown, at most every ten seconds.

        Raises `unavailable` when the issuer did not answer lately: then nobody can say whether the key is good.
        """
        if not self._knows(kid):
            async with self._lock:
                if not self._knows(kid) and time.monotonic() - self._asked > MIN_REFETCH_SECONDS:
                    self._asked = time.monotonic()
                    self._unreachable = not await self._refresh()
            if not self._knows(kid) and self._unreachable:
                raise refuse("unavailable", "The token issuer cannot be reached; try again soon.")
        return self._set

    def _knows(self, kid: str) -> bool:
        return any(key.kid == kid for key in self._set.keys)

    async def _refresh(self) -> bool:
        """Whether the issuer gave its keys."""
        try:
            document = await self._fetch(self._url)
            self._set = KeySet.import_key_set({"keys": document["keys"]})
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            log.warning("jwks_unreachable", url=self._url, error=f"{type(error).__name__}: {error}"[:200])
            return False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(document))
        return True

    def _from_disk(self) -> KeySet:
        try:
            return KeySet.import_key_set(json.loads(self._path.read_text()))
        except (OSError, ValueError, JoseError):
            return KeySet([])


@dataclass
class Verifier:
    """Checks signature, algorithm, type, issuer, audience and times of a bearer token."""

    issuer: str
    source: KeySource
    _seen: dict[str, tuple[float, Caller]] = field(default_factory=dict)

    async def caller(self, request: Request) -> Caller:
        """The caller of this request; raises `unauthenticated`."""
        header = request.headers.get("authorization", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthenticated("Send an access token: Authorization: Bearer <token>.", sent=False)
        known = self._seen.get(token)
        if known is not None and known[0] > time.time():
            return known[1]
        return await self._verify(token.strip())

    async def _verify(self, token: str) -> Caller:
        try:
            header = _header(token)
            claims = jwt.decode(token, await self.source.keys(header["kid"]), algorithms=[ALGORITHM, "Ed25519"]).claims
            caller = self._caller(claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unauthenticated("The access token is not valid or has expired.", sent=True) from error
        self._remember(token, float(claims["exp"]), caller)
        return caller

    def _caller(self, claims: dict[str, Any]) -> Caller:
        if claims["iss"] != self.issuer or claims["aud"] != AUDIENCE or float(claims["exp"]) <= time.time():
            msg = "claims do not fit"
            raise ValueError(msg)
        institution = claims.get("institution_id")
        return Caller(
            sub=str(claims["sub"]),
            roles=frozenset(str(role) for role in claims["roles"]),
            institution_id=UUID(institution) if institution else None,
            can_sign=bool(claims.get("can_sign", False)),
            via="console" if claims.get("via") == "console" else "api",
        )

    def _remember(self, token: str, expires: float, caller: Caller) -> None:
        # a signature costs 84 us; a token is used for minutes, so its verdict is kept until it expires
        if len(self._seen) > 10_000:  # noqa: PLR2004 (bounds the memory; refilled in no time)
            self._seen.clear()
        self._seen[token] = (expires, caller)


def _header(token: str) -> dict[str, str]:
    from joserfc.jws import extract_compact  # noqa: PLC0415 (only on the cold path)

    header = extract_compact(token.encode()).headers()
    if header.get("typ") != TOKEN_TYPE or header.get("alg") not in (ALGORITHM, "Ed25519"):
        msg = "not an access token"
        raise ValueError(msg)
    return {"kid": str(header["kid"])}


def _unauthenticated(detail: str, *, sent: bool) -> Refused:
    challenge = 'Bearer error="invalid_token"' if sent else "Bearer"
    return refuse("unauthenticated", detail, headers={"WWW-Authenticate": challenge})
