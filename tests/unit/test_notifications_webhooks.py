"""Which events a webhook wants, how it is signed, and when it is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.notifications.channels.ssrf import Guard
from services.notifications.channels.webhook import WebhookClient, headers_of
from services.notifications.domain.filters import marks_of, may_see, wants
from services.notifications.domain.retries import SCHEDULE, read_retry_after, wait_after
from services.notifications.domain.webhooks import LIFECYCLE, new_secret, place_of, secret_bytes
from services.notifications.settings import LOOPBACK_NETS
from shared.events.matching import MatchProposed
from shared.events.notifications import WebhookTest
from shared.events.projects import ContributionDelivered, ProjectStarted
from shared.events.registry import CountryStatusChanged, NeedPosted, VerificationSubmitted
from tests.support.receiver import Receiver, status
from tests.support.samples import CLRI, GIZ, LIDI, OPERATOR, SYSTEM, by, need, sample
from tests.unit.test_notifications_words import happening

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def marks(event):
    return marks_of(happening(event))


NEED = marks(sample(NeedPosted, OPERATOR, need=need(isic=["1511", "1520"])))


@pytest.mark.parametrize(
    ("types", "filters", "passes"),
    [
        (["*"], {}, True),
        (["NeedPosted"], {}, True),
        (["MatchProposed"], {}, False),
        (["*"], {"countries": ["ETH"]}, True),
        (["*"], {"countries": ["IND", "ETH"]}, True),
        (["*"], {"countries": ["IND"]}, False),
        (["*"], {"isic": ["15"]}, True),
        (["*"], {"isic": ["1511"]}, True),
        (["*"], {"isic": ["152"]}, True),
        (["*"], {"isic": ["16"]}, False),
        (["*"], {"isic": ["C"]}, True),
        (["*"], {"isic": ["A"]}, False),
        (["*"], {"institution_ids": [str(LIDI)]}, True),
        (["*"], {"institution_ids": [str(CLRI)]}, False),
        (["*"], {"countries": ["ETH"], "isic": ["16"]}, False),
        (["*"], {"countries": [], "isic": [], "institution_ids": []}, True),
    ],
)
def test_filters(types, filters, passes):
    assert wants(types, filters, NEED) is passes


def test_any_country_and_institution_of_the_state_counts():
    proposed = marks(sample(MatchProposed, SYSTEM))
    assert list(proposed.countries) == ["ETH", "IND"]
    assert set(proposed.institutions) == {LIDI, CLRI}
    assert set(marks(sample(ContributionDelivered)).institutions) == {LIDI, CLRI}
    assert list(marks(sample(CountryStatusChanged)).countries) == ["BGD"]


def test_the_one_that_acted_is_not_part_of_the_state():
    assert GIZ not in marks(sample(NeedPosted, by(GIZ))).institutions


@pytest.mark.parametrize(
    ("event", "institution", "sees"),
    [
        (NeedPosted, GIZ, True),
        (ProjectStarted, GIZ, True),
        (MatchProposed, LIDI, True),
        (MatchProposed, GIZ, False),
        (ContributionDelivered, CLRI, True),
        (ContributionDelivered, GIZ, False),
        (VerificationSubmitted, LIDI, False),
        (WebhookTest, LIDI, False),
    ],
)
def test_visibility(event, institution, sees):
    assert may_see(marks(sample(event)), institution) is sees


def test_the_schedule_is_that_of_the_contract():
    assert [wait_after(number, 0.0) for number in range(1, 9)] == [
        timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5),
        timedelta(hours=10), timedelta(hours=10), None,
    ]  # fmt: skip


@pytest.mark.parametrize("attempt", range(1, 8))
def test_jitter_adds_a_fifth_at_most(attempt):
    assert SCHEDULE[attempt - 1] <= wait_after(attempt, 0.5) < wait_after(attempt, 0.999) <= SCHEDULE[attempt - 1] * 1.2


def test_an_endpoint_may_ask_for_more_time_but_not_for_ever():
    assert wait_after(1, 0.0, timedelta(seconds=60)) == timedelta(seconds=60)
    assert wait_after(1, 0.0, timedelta(seconds=1)) == timedelta(seconds=5)
    assert wait_after(1, 0.0, timedelta(days=365)) == timedelta(hours=10)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", timedelta(seconds=120)),
        (" 7 ", timedelta(seconds=7)),
        ("Tue, 24 Nov 2026 09:01:00 GMT", timedelta(minutes=1)),
        ("Tue, 24 Nov 2020 09:01:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("١٢", None),
        ("9" * 4000, timedelta(seconds=10**9)),
        (None, None),
    ],
)
def test_retry_after(value, wait):
    assert read_retry_after(value, NOW) == wait


def test_the_signature_is_that_of_standard_webhooks():
    secret, body = new_secret(), '{"title": "Modjo – ጥሬ"}'.encode()
    headers = headers_of("msg_1", body, [secret])
    assert Webhook(secret).verify(body, headers) == {"title": "Modjo – ጥሬ"}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


def test_two_secrets_give_two_signatures():
    new, old = new_secret(), new_secret()
    headers = headers_of("msg_1", b"{}", [new, old])
    assert Webhook(new).verify(b"{}", headers) == Webhook(old).verify(b"{}", headers) == {}


def test_a_secret_is_24_random_bytes():
    assert len(secret_bytes(new_secret())) == 24
    assert new_secret() != new_secret()


def test_actions_of_a_webhook():
    owner, reader, operator = ["owner:owner"], ["owner:reader"], ["operator"]
    assert LIFECYCLE.actions("enabled", None, owner) == ["test", "rotate-secret", "disable"]
    assert LIFECYCLE.actions("disabled", None, owner) == ["test", "rotate-secret", "enable"]
    assert LIFECYCLE.actions("enabled", None, reader) == []
    assert LIFECYCLE.actions("enabled", None, operator) == ["disable"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/T0/secret?token=t#x", "https://hooks.example"),
        ("https://hooks.example:8443/T0", "https://hooks.example"),
        ("http://127.0.0.1:9/hook", "http://127.0.0.1"),
        ("https://[2606:4700:4700::1111]:8443/x", "https://[2606:4700:4700::1111]"),
        ("https://hooks.example", "https://hooks.example"),
        ("https://[nonsense", ""),
    ],
)
def test_others_see_only_scheme_and_host_of_an_address(url, shown):
    assert place_of(url) == shown
    if shown:
        assert place_of(shown) == shown


@pytest.mark.asyncio
async def test_cookies_are_neither_kept_nor_sent():
    client = WebhookClient(Guard(LOOPBACK_NETS, http_allowed=True))
    try:
        for set_cookie in ("a=1", "b=2; Path=/; Max-Age=9999", "c=3; Domain=127.0.0.1", "d=4; Path=/hook"):
            async with Receiver(answer=status(200, set_cookie=set_cookie)) as receiver:
                for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost"), receiver.url + "/other"):
                    assert (await client.send(url, "id", b"{}", [new_secret()])).http_status == 200
            assert len(receiver.got) == 3
            assert all("cookie" not in one.headers for one in receiver.got)
        assert len(client._client.cookies.jar) == 0
    finally:
        await client.close()
