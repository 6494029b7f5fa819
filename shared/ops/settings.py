"""Settings that every service has. A service adds its own fields in `services/<name>/settings.py`.

Each field is read from `<SERVICE>_<FIELD>` and, failing that, from `BANDUNG_<FIELD>`, so that one variable
serves all services and a single one can differ. Files of `/run/secrets` with the same names count too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from shared.ops import failpoints

SECRETS = Path("/run/secrets")
LOOPBACK = "127.0.0.1"


class ServiceSettings(BaseSettings):
    """What the kernel needs to run one service."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)
    service: ClassVar[str] = "service"
    default_port: ClassVar[int] = 8000

    instance: str = Field(
        "local", pattern="^[a-z0-9-]{1,32}$", description="Name of this installation, part of `ce_source`"
    )
    embedded: bool = Field(default=False, description="Set by `bandung up`: one machine, loopback only, relaxed limits")
    home: Path = Field(Path(".bandung"), description="Folder for local state and the cached signing keys")
    host: str = Field(LOOPBACK, description="Address to listen on")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 takes the service's own default")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Own port for `/metrics`, gone from the API then; 0 leaves it there"
    )
    public_url: str = Field("", description="Base URL by which clients reach this service; default from host and port")
    database_url: SecretStr = Field(SecretStr(""), description="postgresql+asyncpg://user:password@host/database")
    database_password: SecretStr = Field(
        SecretStr(""), description="Password for a `database_url` that names none: it may be a secret file of its own"
    )
    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma separated")
    topic_prefix: str = Field(
        "", description="Put before every topic and group name; lets installations share a cluster"
    )
    replica: str = Field(
        "0", pattern="^[a-z0-9-]{1,40}$", description="Differs between replicas of one service, stays over restarts"
    )
    topic_replication: int = Field(1, ge=1, description="Replication factor of topics made by `topics ensure`")
    issuer: str = Field("http://127.0.0.1:8001", description="Token issuer = public URL of registry")
    jwks_url: str = Field("", description="Where to fetch the issuer's keys; default from the issuer")
    pool_size: int = Field(10, ge=1, description="Database connections for requests")
    rate_limit_per_minute: int = Field(
        0, ge=0, description="Requests per token subject; 0 is off, the default in embedded mode"
    )
    time_offset_seconds: float = Field(0, description="Shifts business time; embedded mode only")
    failpoints: str = Field("", description="Where this process dies or fails, for tests; embedded mode only")
    token_ttl_seconds: int = Field(
        900, ge=1, le=900, description="Life of an access token; shorter only in embedded mode"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins allowed to call the API from a browser, comma separated"
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(default=True, description="One JSON object per line; off gives readable lines")
    otlp_endpoint: str = Field("", description="OTLP/HTTP collector; empty turns exporting off")
    commit: str = Field("unknown", description="Source revision shown by /version")

    @model_validator(mode="before")
    @classmethod
    def _split_origins(cls, values: dict[str, object]) -> dict[str, object]:
        origins = values.get("cors_origins")
        if isinstance(origins, str):
            values["cors_origins"] = tuple(part.strip() for part in origins.split(",") if part.strip())
        return values

    @model_validator(mode="before")
    @classmethod
    def _join_password(cls, values: dict[str, object]) -> dict[str, object]:
        password, url = _plain(values.get("database_password")), _plain(values.get("database_url"))
        user = urlsplit(url)
        if password and user.username and user.password is None:
            address = user.netloc.replace("@", f":{quote(password, safe='')}@", 1)
            values["database_url"] = user._replace(netloc=address).geturl()
        return values

    @field_validator("failpoints")
    @classmethod
    def _known_failpoints(cls, spec: str) -> str:
        failpoints.parse(spec)
        return spec

    @model_validator(mode="after")
    def _only_embedded_may_fail_on_purpose(self) -> Self:
        if self.failpoints and not self.embedded:
            msg = "failpoints are for embedded mode only"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _only_embedded_may_bend_time(self) -> Self:
        if not self.embedded and (self.time_offset_seconds or self.token_ttl_seconds != 900):  # noqa: PLR2004 (contract section 2)
            msg = "time_offset_seconds and token_ttl_seconds are for embedded mode only"
            raise ValueError(msg)
        return self

    @property
    def listen_port(self) -> int:
        """The port that is really used."""
        return self.port or self.default_port

    @property
    def base_url(self) -> str:
        """Public base URL without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.listen_port}").rstrip("/")

    @property
    def source(self) -> str:
        """`ce_source` of everything this service publishes."""
        return f"urn:bandung:{self.instance}:{self.service}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Own prefix before the common one; variables before secret files."""
        del env_settings, dotenv_settings, file_secret_settings
        own, common = f"{cls.service.upper()}_", "BANDUNG_"
        sources: list[PydanticBaseSettingsSource] = [init_settings]
        sources += [EnvSettingsSource(settings_cls, env_prefix=prefix) for prefix in (own, common)]
        if SECRETS.is_dir():
            sources += [
                SecretsSettingsSource(settings_cls, secrets_dir=SECRETS, env_prefix=p.lower()) for p in (own, common)
            ]
        return tuple(sources)


def _plain(value: object) -> str:
    """Text of a field before validation, wherever it came from."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
