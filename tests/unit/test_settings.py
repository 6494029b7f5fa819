"""Where settings come from, and what they refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.ops.settings import ServiceSettings


class Settings(ServiceSettings):
    service = "registry"


def url(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings().database_url.get_secret_value()


def test_a_password_of_its_own_completes_an_address_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = url(
        monkeypatch,
        REGISTRY_DATABASE_URL="postgresql+asyncpg://registry@postgres:5432/registry",
        REGISTRY_DATABASE_PASSWORD="a/b@c:d",
    )
    assert found == "postgresql+asyncpg://registry:a%2Fb%40c%3Ad@postgres:5432/registry"


def test_a_password_in_the_address_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "postgresql+asyncpg://registry:first@postgres:5432/registry"
    assert url(monkeypatch, REGISTRY_DATABASE_URL=whole, REGISTRY_DATABASE_PASSWORD="second") == whole


def test_an_address_without_a_user_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = "postgresql+asyncpg:///registry"
    assert url(monkeypatch, REGISTRY_DATABASE_URL=plain, REGISTRY_DATABASE_PASSWORD="p") == plain


def test_the_services_own_variable_comes_before_the_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    common = "postgresql+asyncpg://a:b@c/common"
    assert url(monkeypatch, BANDUNG_DATABASE_URL=common) == common
    assert url(monkeypatch, REGISTRY_DATABASE_URL="postgresql+asyncpg://a:b@c/own").endswith("/own")


def test_neither_password_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_DATABASE_URL", "postgresql+asyncpg://registry@postgres/registry")
    monkeypatch.setenv("REGISTRY_DATABASE_PASSWORD", "hidden-word")
    assert "hidden-word" not in repr(Settings()) + Settings().model_dump_json()


def test_bent_time_is_for_embedded_mode_only() -> None:
    with pytest.raises(ValidationError, match="embedded mode only"):
        Settings(time_offset_seconds=5)
