"""No request goes to an inside address, however it is written."""

import asyncio
import ipaddress
import socket
import subprocess
import sys
import threading
from collections import Counter
from typing import Any

import pytest

from services.notifications.channels import ssrf
from services.notifications.channels.resolver import Resolver
from services.notifications.channels.ssrf import Forbidden, Guard, Unresolvable, is_public, literal
from services.notifications.settings import LOOPBACK_NETS, Settings

OUTSIDE = Guard()
EMBEDDED = Guard(LOOPBACK_NETS, http_allowed=True)

NOT_PUBLIC = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1
192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1
240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:7f00:1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1::1 2001:2::1 2001:10::1 2001:db8::1
2002:7f00:1::1 2002:a9fe:a9fe::1 2002:c058:6301::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1
""".split()
PUBLIC = """
1.1.1.1 8.8.8.8 93.184.216.34 100.128.0.1 172.32.0.1 192.88.98.1 198.20.0.1 223.255.255.255
2606:4700:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
""".split()


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.1", "017700000001"]
)
def test_every_spelling_of_an_address_is_that_address(host):
    assert literal(host) == ipaddress.ip_address("127.0.0.1")


HOSTILE = [
    "http://example.org/hook", "ftp://example.org/", "file:///etc/passwd", "gopher://127.0.0.1/", "example.org/hook",
    "//example.org/", "https://", "https:///path", "", "nonsense", "https://user@1.1.1.1/", "https://user:pw@1.1.1.1/",
    "https://@1.1.1.1/", "https://1.1.1.1@127.0.0.1/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/",
    "https://0x7f000001/", "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::]/",
    "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fe80::1%25eth0]/", "https://169.254.169.254/latest/",
    "https://0/", "https://10.1.2.3/", "https://192.168.1.1:8443/", "https://localhost/", "https://LOCALHOST./",
    "https://1.1.1.1:0/", "https://1.1.1.1:99999/", "https://1.1.1.1\\@127.0.0.1/", "https://1.1.1.1 /", "https://1.1.1.1/\r\nx",
    "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://[::1/", "https://[1.1.1.1]/", "http://127.0.0.1:8080/",
    "javascript:alert(1)", "https://224.0.0.1/", "https://255.255.255.255/",
]  # fmt: skip


@pytest.mark.parametrize("url", HOSTILE)
@pytest.mark.asyncio
async def test_hostile_urls_are_refused(url):
    with pytest.raises(Forbidden):
        await OUTSIDE.check(url)


@pytest.mark.parametrize(
    "url", ["https://1.1.1.1/hook", "https://[2606:4700:4700::1111]:8443/x?y=1", "https://8.8.8.8:443"]
)
@pytest.mark.asyncio
async def test_public_addresses_may_be_called(url):
    target = await OUTSIDE.target(url)
    assert str(target.address) in url


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/", "http://127.1:9/", "http://2130706433:9/", "http://0x7f000001:9/", "http://0177.0.0.1:9/",
        "http://127.200.1.2:9/", "http://[::ffff:127.0.0.1]:9/", "http://localhost:9/", "http://LocalHost.:9/",
        "https://127.0.0.1:9/",
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_embedded_mode_allows_every_spelling_of_loopback(url):
    target = await EMBEDDED.target(url)
    assert str(ssrf.embedded_address(target.address)).startswith("127.")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://1.1.1.1/",
        "http://[::1]/",
        "http://169.254.169.254/",
        "http://u@127.0.0.1/",
        "ftp://127.0.0.1/",
    ],
)
@pytest.mark.asyncio
async def test_embedded_mode_allows_no_more_than_that(url):
    with pytest.raises(Forbidden):
        await EMBEDDED.check(url)


@pytest.mark.asyncio
async def test_an_intranet_is_reached_over_https_when_the_operator_allows_it():
    guard = Guard(tuple(map(ipaddress.ip_network, ["10.1.0.0/16"])))
    assert str((await guard.target("https://10.1.2.3/")).address) == "10.1.2.3"
    for url in ("http://10.1.2.3/", "https://10.2.0.1/"):
        with pytest.raises(Forbidden):
            await guard.check(url)


@pytest.fixture
def resolving(monkeypatch):
    """Names resolve to these addresses; the resolver is the world outside, the rest is ours."""

    def to(*addresses: str) -> None:
        def answer(_host: str, _port: int | None, **_hints: int) -> list[tuple[Any, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return to


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::1"], ["fe80::1%eth0"]])
@pytest.mark.asyncio
async def test_one_inside_address_among_those_of_a_name_is_enough(resolving, addresses):
    resolving(*addresses)
    with pytest.raises(Forbidden):
        await OUTSIDE.check("https://hooks.example/")


@pytest.mark.asyncio
async def test_the_request_goes_to_the_address_that_was_checked(resolving):
    resolving("93.184.216.34", "1.1.1.1")
    target = await OUTSIDE.target("https://hooks.example/x")
    assert (str(target.address), target.host) == ("93.184.216.34", "hooks.example")


@pytest.mark.asyncio
async def test_plain_http_goes_to_written_addresses_only(resolving):
    resolving("127.0.0.1")
    with pytest.raises(Forbidden):
        await EMBEDDED.check("http://inside.example/")
    assert str((await EMBEDDED.target("https://inside.example/")).address) == "127.0.0.1"


@pytest.mark.asyncio
async def test_a_host_that_does_not_resolve_is_accepted_and_judged_at_the_send():
    await OUTSIDE.check("https://no-such-host.invalid/")
    with pytest.raises(Unresolvable):
        await OUTSIDE.target("https://no-such-host.invalid/")


class Outside:
    """The resolver of the system, of which some names never come back."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.let_go = threading.Event()

    def getaddrinfo(self, host: str, _port: int | None, **_hints: int) -> list[tuple[Any, ...]]:
        self.asked[host] += 1
        if host.startswith("hangs"):
            self.let_go.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 0))]


@pytest.fixture
def outside(monkeypatch):
    made = Outside()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(ssrf, "RESOLVE_SECONDS", 0.2)
    yield made
    made.let_go.set()


async def outcomes(guard: Guard, *hosts: str) -> list[str]:
    """`ok`, or why not."""
    found = await asyncio.gather(*(guard.target(f"https://{host}/") for host in hosts), return_exceptions=True)
    assert all(isinstance(one, ssrf.Target | Unresolvable) for one in found), found
    return ["ok" if isinstance(one, ssrf.Target) else str(one) for one in found]


@pytest.mark.asyncio
async def test_names_that_hang_hold_up_neither_others_nor_the_default_executor(outside):
    guard = Guard(resolver=Resolver(threads=30))
    hanging = [f"hangs{number}.example" for number in range(29)]
    late = await outcomes(guard, *hanging)
    assert all("does not resolve: no answer within" in one for one in late)
    assert await outcomes(guard, "quick.example", "swift.example") == ["ok", "ok"]
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(int, "7") == 7
    assert set(outside.asked.values()) == {1}


@pytest.mark.asyncio
async def test_a_name_has_one_look_up_at_a_time(outside):
    guard = Guard(resolver=Resolver(threads=2))
    for _ in range(3):
        assert "ok" not in await outcomes(guard, *["hangs.example"] * 20)
    assert outside.asked["hangs.example"] == 1
    assert await outcomes(guard, "quick.example") == ["ok"]
    outside.let_go.set()
    assert await outcomes(guard, *["hangs.example"] * 20) == ["ok"] * 20


@pytest.mark.asyncio
async def test_with_all_threads_taken_one_waits_within_the_bound_and_they_come_back(outside):
    guard = Guard(resolver=Resolver(threads=2))
    await outcomes(guard, "hangs1.example", "hangs2.example")
    assert "does not resolve" in (await outcomes(guard, "quick.example"))[0]
    assert outside.asked["quick.example"] == 0
    outside.let_go.set()
    assert await outcomes(guard, "quick.example", "swift.example", "fleet.example") == ["ok"] * 3


HANGING = """
import asyncio, socket, time
from services.notifications.channels import ssrf
socket.getaddrinfo = lambda *_args, **_hints: time.sleep(120)
ssrf.RESOLVE_SECONDS = 0.1
asyncio.run(ssrf.Guard().check("https://hangs.example/"))
print("ended")
"""


def test_a_name_that_hangs_does_not_hold_up_the_end_of_the_process():
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ended\n"


def test_settings_open_loopback_in_embedded_mode_only(monkeypatch):
    monkeypatch.delenv("NOTIFICATIONS_WEBHOOK_ALLOW_NETS", raising=False)
    assert Settings(embedded=True).allowed_nets == LOOPBACK_NETS
    assert Settings().allowed_nets == ()
    monkeypatch.setenv("NOTIFICATIONS_WEBHOOK_ALLOW_NETS", "10.0.0.0/8, fd00::/8")
    assert [str(net) for net in Settings().allowed_nets] == ["10.0.0.0/8", "fd00::/8"]
    monkeypatch.setenv("NOTIFICATIONS_WEBHOOK_ALLOW_NETS", "")
    assert Settings(embedded=True).allowed_nets == ()
