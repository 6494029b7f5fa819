"""The kernel with one protection switched off, as a plugin of pytest: `-p tests.faults.mutations` and two variables.

`BANDUNG_MUTATION` names the protection, `BANDUNG_TEST_PARTS` where PostgreSQL and Kafka run already. `MUTATIONS` says
which test must notice. Nothing of it is reachable from the product.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from shared import operations
from shared.data.idempotency import Replays
from shared.messaging import consumer, delivery, inbox, outbox, published, relay, sender
from shared.messaging.logs import Log
from shared.web import versions
from tests.support import parts as support
from tests.support import waiting

if TYPE_CHECKING:
    from collections.abc import Callable

RELAY = "tests/faults/test_relay_guards.py::test_"
CONSUMER = "tests/faults/test_consumer_guards.py::test_"
HTTP = "tests/integration/test_kernel_http.py::test_"
MESSAGING = "tests/integration/test_kernel_messaging.py::test_"
PATIENCE_SECONDS = 15.0
"""A test that waits for what cannot come any more need not wait for a minute."""


@dataclass(frozen=True)
class Mutation:
    """One protection that is missing."""

    off: Callable[[], None]
    caught_by: str


def mark_before_acknowledgement() -> None:
    real, lead = sender.Sender.send, relay.Relay._lead

    async def send(self: Any, parts: Any) -> Any:
        await self._test_connection.execute(relay._MARK, [row_id for part in parts.values() for row_id, _ in part])
        return await real(self, parts)

    async def remember(self: Any, connection: Any, stop: Any) -> None:
        async with relay.direct_connection(self._url, "test") as own:
            self.sender._test_connection = own
            await lead(self, connection, stop)

    sender.Sender.send, relay.Relay._lead = send, remember  # type: ignore[method-assign]


def mark_a_range() -> None:
    relay._MARK = "update outbox set published_at = now() where id between ($1::bigint[])[1] and ($1::bigint[])[array_upper($1::bigint[], 1)]"  # noqa: E501


def a_cursor_instead_of_unsent() -> None:
    sent = "(select coalesce(max(id), 0) from outbox where published_at is not null)"
    relay._UNSENT = relay._UNSENT.replace("id > $1", f"id > greatest($1, {sent})")


def a_follower_tells_nobody() -> None:
    relay._KNOCK = "select 1"


def no_lock_of_the_leader() -> None:
    real = relay.Relay._lead

    class Anybody:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        async def fetchval(self, sql: str, *values: Any) -> Any:
            return True if "advisory" in sql else await self._connection.fetchval(sql, *values)

    async def lead(self: Any, connection: Any, stop: Any) -> None:
        await real(self, Anybody(connection), stop)

    relay.Relay._lead = lead  # type: ignore[method-assign]


def later_rows_overtake_one_that_cannot_be_sent() -> None:
    class Forgets(dict[Any, Any]):
        def __contains__(self, key: object) -> bool:
            return False

    real = relay.Relay.__init__

    def init(self: Any, **values: Any) -> None:
        real(self, **values)
        self._blocked = Forgets()

    relay.Relay.__init__ = init  # type: ignore[method-assign]


def an_unsendable_row_holds_up_everybody() -> None:
    relay.Relay._refuse_oversized = staticmethod(lambda _event: None)  # type: ignore[method-assign]


def a_new_log_is_not_noticed_by_the_relay() -> None:
    async def never(*_: Any) -> bool:
        return False

    published.PublishedLogs.are_new = never  # type: ignore[method-assign]


def a_new_log_is_not_noticed_by_the_consumer() -> None:
    async def look(*_: Any) -> None:
        return

    consumer.Consumer._look = look  # type: ignore[method-assign]
    consumer.find_logs = lambda _client, topics: _same(topics)


async def _same(topics: Any) -> dict[str, Log]:
    return dict.fromkeys(topics, Log("the only one", 6))


def partitions_as_kafka_has_them() -> None:
    real = relay.partition_of
    relay.partition_of = lambda key, _declared: real(key, 12)


def the_event_outside_its_transaction() -> None:
    real = outbox.Pending.append

    async def append(self: Any, session: Any) -> None:
        await real(self, session)
        await session.commit()

    outbox.Pending.append = append  # type: ignore[method-assign]


def numbers_without_a_lock() -> None:
    statement = str(outbox._APPEND)
    start, end = statement.index("insert into sequences"), statement.index("returning last")
    counted = "select count(*) + 1 as last from outbox where topic = :topic and key = :key"
    outbox._APPEND = text(statement[:start] + counted + statement[end + len("returning last") :])


def no_inbox() -> None:
    async def take(_session: Any, _tables: Any, events: Any, _at: Any) -> Any:
        return {(event.source, event.id) for event in events}

    inbox.take = take  # type: ignore[assignment]


def _in_a_transaction_of_its_own(name: str) -> None:
    real = getattr(inbox, name)

    async def alone(session: Any, *values: Any) -> Any:
        outcome = await real(session, *values)
        await session.commit()
        return outcome

    setattr(inbox, name, alone)


def the_inbox_outside_the_transaction() -> None:
    _in_a_transaction_of_its_own("take")


def positions_outside_the_transaction() -> None:
    real = delivery.Delivery.handle

    async def handle(self: Any, log_id: str, tp: Any, records: Any) -> int:
        async with self.session() as session:
            await inbox.save_position(session, self.tables, log_id, tp.topic, tp.partition, records[-1].offset + 1)
            await session.commit()
        return await real(self, log_id, tp, records)

    delivery.Delivery.handle = handle  # type: ignore[method-assign]


def positions_are_not_sought() -> None:
    async def position(self: Any, _consumer: Any, assigned: Any) -> None:
        for tp in assigned:
            self._lanes[tp] = consumer._Lane()
            self._offsets[tp] = 0

    consumer.Consumer._position = position  # type: ignore[method-assign]


def poison_is_taken_for_a_passing_fault() -> None:
    consumer.is_passing = lambda _error: True


def a_passing_fault_is_taken_for_poison() -> None:
    consumer.is_passing = lambda _error: False


def a_whole_slice_is_buried() -> None:
    async def all_of_them(self: Any, tp: Any, records: Any, lane: Any) -> int:
        for record in records:
            await self._bury(tp, record, RuntimeError("with the others"), lane)
        return len(records)

    consumer.Consumer._one_by_one = all_of_them  # type: ignore[method-assign]


def no_budget_of_dead_letters() -> None:
    consumer.DEAD_LETTER_STREAK = 1_000_000


def nobody_watches_the_client() -> None:
    consumer.Watchdog.look = lambda *_, **__: None  # type: ignore[method-assign]


def no_stored_answers() -> None:
    async def begin(*_: Any) -> None:
        return None

    Replays.begin = begin  # type: ignore[method-assign]


def no_look_at_if_match() -> None:
    versions.Precondition.check = lambda *_: None  # type: ignore[method-assign]


def a_redrive_forgets_that_it_was() -> None:
    async def take(_session: Any, _tables: Any, events: Any, _at: Any) -> Any:
        return {(event.source, event.id) for event in events}

    inbox.take = take  # type: ignore[assignment]
    operations.update = _Nothing  # type: ignore[assignment]


class _Nothing:
    def __init__(self, table: Any) -> None:
        self._table = table

    def where(self, *_: Any) -> _Nothing:
        return self

    def values(self, **_: Any) -> Any:
        return text("select 1")


MUTATIONS = {
    "rows are marked before the acknowledgement": Mutation(
        mark_before_acknowledgement, RELAY + "a_row_without_an_acknowledgement_stays_unsent"
    ),
    "a range of rows is marked": Mutation(
        mark_a_range, RELAY + "a_row_that_can_never_be_sent_holds_up_its_own_key_alone_and_is_named"
    ),
    "a cursor instead of unsent": Mutation(
        a_cursor_instead_of_unsent, RELAY + "a_row_that_commits_after_a_later_one_is_sent"
    ),
    "no lock of the leading relay": Mutation(no_lock_of_the_leader, RELAY + "of_two_processes_one_relay_leads"),
    "a follower's commit wakes nobody": Mutation(
        a_follower_tells_nobody, RELAY + "what_a_follower_commits_goes_out_at_once"
    ),
    "later rows overtake one that waits": Mutation(
        later_rows_overtake_one_that_cannot_be_sent,
        RELAY + "a_row_that_can_never_be_sent_holds_up_its_own_key_alone_and_is_named",
    ),
    "an unsendable row holds up everybody": Mutation(
        an_unsendable_row_holds_up_everybody,
        RELAY + "a_row_that_can_never_be_sent_holds_up_its_own_key_alone_and_is_named",
    ),
    "the relay does not notice a new log": Mutation(
        a_new_log_is_not_noticed_by_the_relay, RELAY + "a_topic_made_anew_is_filled_again_and_read_from_its_start[]"
    ),
    "the consumer does not notice a new log": Mutation(
        a_new_log_is_not_noticed_by_the_consumer, RELAY + "a_topic_made_anew_is_filled_again_and_read_from_its_start[]"
    ),
    "partitions as Kafka has them": Mutation(
        partitions_as_kafka_has_them, RELAY + "a_key_stays_where_it_is_when_partitions_are_added"
    ),
    "the event outside its transaction": Mutation(
        the_event_outside_its_transaction, RELAY + "a_refused_command_is_told_to_nobody"
    ),
    "sequences without a row lock": Mutation(
        numbers_without_a_lock, RELAY + "the_next_number_of_a_key_waits_for_the_transaction_that_drew_the_last"
    ),
    "no inbox": Mutation(no_inbox, CONSUMER + "an_event_that_comes_again_in_any_order_has_one_effect"),
    "the inbox outside the transaction": Mutation(
        the_inbox_outside_the_transaction,
        CONSUMER + "what_was_in_hand_when_a_consumer_died_has_its_effect_once[consumer.handled]",
    ),
    "positions outside the transaction": Mutation(
        positions_outside_the_transaction,
        CONSUMER + "what_was_in_hand_when_a_consumer_died_has_its_effect_once[consumer.handled]",
    ),
    "positions are not sought on assignment": Mutation(
        positions_are_not_sought, MESSAGING + "a_restored_database_is_told_what_it_lacks_in_order"
    ),
    "poison taken for a passing fault": Mutation(
        poison_is_taken_for_a_passing_fault, CONSUMER + "one_bad_record_is_buried_and_its_neighbours_are_not"
    ),
    "a passing fault taken for poison": Mutation(
        a_passing_fault_is_taken_for_poison, CONSUMER + "a_fault_of_the_surroundings_buries_nothing"
    ),
    "a whole slice is buried": Mutation(
        a_whole_slice_is_buried, CONSUMER + "one_bad_record_is_buried_and_its_neighbours_are_not"
    ),
    "no budget of dead letters": Mutation(
        no_budget_of_dead_letters, CONSUMER + "a_deploy_where_every_record_fails_drains_no_topic"
    ),
    "nobody watches the client": Mutation(
        nobody_watches_the_client,
        CONSUMER + "a_client_that_kafka_does_not_answer_is_replaced_and_not_taken_for_an_idle_one",
    ),
    "a redrive is not remembered": Mutation(
        a_redrive_forgets_that_it_was, CONSUMER + "a_redriven_letter_has_one_effect_however_often"
    ),
    "no stored answers": Mutation(no_stored_answers, HTTP + "twenty_equal_keys_at_once_make_one_thing"),
    "If-Match is not looked at": Mutation(no_look_at_if_match, HTTP + "versions_428_412_400_and_star"),
}


def pytest_configure() -> None:
    """Switches it off in this process, and uses the parts that run."""
    name = os.environ.get("BANDUNG_MUTATION")
    if name is None:
        return
    if name:
        MUTATIONS[name].off()
        waiting.eventually.__defaults__ = (PATIENCE_SECONDS,)
    found = json.loads(os.environ["BANDUNG_TEST_PARTS"])

    async def acquire(_self: Any) -> support.Parts:
        return support.Parts(found["postgres_url"], found["bootstrap"])

    support.SharedParts.acquire = acquire  # type: ignore[method-assign]
