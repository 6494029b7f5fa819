"""The promise: nothing is lost, nothing is invented. Outbox, relay, consumer, inbox, dead letters."""
