"""PostgreSQL and Apache Kafka on one machine, for `bandung up` and the tests only."""
