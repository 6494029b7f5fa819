"""A webhook over TLS: to the address that was checked, with the name, the certificate and the Host of the URL."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notifications.channels.ssrf import Guard
from services.notifications.channels.webhook import WebhookClient
from services.notifications.domain.webhooks import new_secret
from services.notifications.settings import LOOPBACK_NETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="session")
HOST = "hooks.example"


def certificate(folder: Path, host: str) -> Path:
    """A file with a fresh key and a certificate for this host, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{host}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


class Heard:
    """What the server saw."""

    name: str | None = None
    host: str = ""
    port: int = 0


@asynccontextmanager
async def tls_server(file: Path) -> AsyncIterator[Heard]:
    heard = Heard()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.sni_callback = lambda _socket, name, _context: setattr(heard, "name", name)  # type: ignore[assignment]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heard.host = next(line[6:] for line in head.split("\r\n") if line.lower().startswith("host: "))
        writer.write(b"HTTP/1.1 204 OK\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    heard.port = server.sockets[0].getsockname()[1]
    async with server:
        yield heard


@pytest_asyncio.fixture(loop_scope="session")
async def trusted(tmp_path, monkeypatch) -> Path:
    """A certificate for the host that the client trusts; the host's name resolves to this machine."""
    file = certificate(tmp_path, HOST)
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: ssl.create_default_context(cafile=str(file)))

    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *more: Any, **hints: Any) -> list[tuple[Any, ...]]:
        if host != HOST:
            return real(host, port, *more, **hints)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return file


async def send(port: int) -> Any:
    client = WebhookClient(Guard(LOOPBACK_NETS))
    try:
        return await client.send(f"https://{HOST}:{port}/hook", "id", b"{}", [new_secret()])
    finally:
        await client.close()


async def test_name_and_host_are_those_of_the_url(trusted):
    async with tls_server(trusted) as heard:
        outcome = await send(heard.port)
    assert outcome.http_status == 204, outcome
    assert (heard.name, heard.host) == (HOST, f"{HOST}:{heard.port}")


async def test_a_certificate_for_another_name_is_refused(trusted, tmp_path):
    del trusted
    async with tls_server(certificate(tmp_path, "other.example")) as heard:
        outcome = await send(heard.port)
    assert outcome.http_status is None
    assert "certificate verify failed" in outcome.excerpt.lower()
    assert heard.host == ""
