"""PostgreSQL: connections, migrations, audit, idempotency, scheduler. Knows no Kafka."""
