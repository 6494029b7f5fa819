"""The first tables of registry, and the epoch of its sequences."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("can_sign", sa.Boolean(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("client_id", name=op.f("api_key_client_id_key")),
    )
    op.create_index(op.f("api_key_institution_id"), "api_key", ["institution_id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sub", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Uuid(), nullable=True),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_pkey")),
    )
    op.create_index("audit_subject", "audit", ["subject"], unique=False)
    op.create_table(
        "capability",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("resource_kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("isic", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("hs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("sdg_targets", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("technologies", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("languages", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("delivery_modes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("serves", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("renew_by", sa.Date(), nullable=False),
        sa.Column("centre_id", sa.Uuid(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("capability_pkey")),
    )
    op.create_index(op.f("capability_centre_id"), "capability", ["centre_id"], unique=False)
    op.create_index("capability_institution_id_id", "capability", ["institution_id", "id"], unique=False)
    op.create_index(
        "capability_renew_by",
        "capability",
        ["renew_by"],
        unique=False,
        postgresql_where=sa.text("status = 'published'"),
    )
    op.create_index("capability_updated_at_id", "capability", ["updated_at", "id"], unique=False)
    op.create_table(
        "centre",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("host_country", sa.Text(), nullable=False),
        sa.Column("host_institution", sa.Text(), nullable=True),
        sa.Column("focus_isic", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("history", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("centre_pkey")),
    )
    op.create_index(op.f("centre_kind"), "centre", ["kind"], unique=False)
    op.create_table(
        "consumer_positions",
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cluster", "topic", "partition", name=op.f("consumer_positions_pkey")),
    )
    op.create_table(
        "country",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("country_pkey")),
    )
    op.create_table(
        "country_confirmation",
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("leaves_on", sa.Date(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("country", "group", name=op.f("country_confirmation_pkey")),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redriven_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("dead_letter_pkey")),
        sa.UniqueConstraint(
            "cluster", "topic", "partition", "offset", name=op.f("dead_letter_cluster_topic_partition_offset_key")
        ),
    )
    op.create_table(
        "engagement",
        sa.Column("match_id", sa.Uuid(), nullable=False),
        sa.Column("need_id", sa.Uuid(), nullable=False),
        sa.Column("capability_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reopens", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("match_id", name=op.f("engagement_pkey")),
    )
    op.create_index("engagement_need_id", "engagement", ["need_id"], unique=False)
    op.create_index(
        "engagement_running",
        "engagement",
        ["capability_id"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "epoch",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("epoch_pkey")),
    )
    op.create_table(
        "external_id",
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("scheme", "value", name=op.f("external_id_pkey")),
    )
    op.create_index(op.f("external_id_institution_id"), "external_id", ["institution_id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("sub", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sub", "key", name=op.f("idempotency_pkey")),
    )
    op.create_index("idempotency_at", "idempotency", ["at"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "event_id", name=op.f("inbox_pkey")),
    )
    op.create_index("inbox_handled_at", "inbox", ["handled_at"], unique=False)
    op.create_table(
        "institution",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_before", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("acronym", sa.Text(), nullable=True),
        sa.Column("other_names", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("languages", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("external_ids", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("contact", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("folded_names", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("searched", sa.Text(), nullable=False),
        sa.Column("verified_until", sa.Date(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("institution_pkey")),
    )
    op.create_index("institution_country_id", "institution", ["country", "id"], unique=False)
    op.create_index(op.f("institution_parent_id"), "institution", ["parent_id"], unique=False)
    op.create_index("institution_updated_at_id", "institution", ["updated_at", "id"], unique=False)
    op.create_index(
        "institution_verified_until",
        "institution",
        ["verified_until"],
        unique=False,
        postgresql_where=sa.text("status = 'verified'"),
    )
    op.create_table(
        "match_view",
        sa.Column("match_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("parties", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.PrimaryKeyConstraint("match_id", name=op.f("match_view_pkey")),
    )
    op.create_index("match_view_parties", "match_view", ["parties"], unique=False, postgresql_using="gin")
    op.create_table(
        "need",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("resource_kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("isic", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("hs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("sdg_targets", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("technologies", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("languages", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("urgency", sa.Text(), nullable=False),
        sa.Column("budget", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("funding_gap", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("deadline", sa.Date(), nullable=False),
        sa.Column("domestic_welcome", sa.Boolean(), nullable=False),
        sa.Column("partners_wanted", sa.Integer(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("need_pkey")),
    )
    op.create_index("need_deadline", "need", ["deadline"], unique=False, postgresql_where=sa.text("status = 'open'"))
    op.create_index("need_institution_id_id", "need", ["institution_id", "id"], unique=False)
    op.create_index("need_updated_at_id", "need", ["updated_at", "id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("correlation", sa.Text(), nullable=False),
        sa.Column("causation", sa.Text(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
        sa.UniqueConstraint("event_id", name=op.f("outbox_event_id_key")),
    )
    op.create_index("outbox_unsent", "outbox", ["id"], unique=False, postgresql_where=sa.text("published_at IS NULL"))
    op.create_table(
        "sequences",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "key", name=op.f("sequences_pkey")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("jwk", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("signing_key_pkey")),
    )
    op.create_table(
        "verification",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Uuid(), nullable=False),
        sa.Column("answers", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("submitted_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("verification_pkey")),
    )
    op.create_index(op.f("verification_institution_id"), "verification", ["institution_id"], unique=False)
    op.create_index(
        "verification_open",
        "verification",
        ["institution_id"],
        unique=True,
        postgresql_where=sa.text("status = 'submitted'"),
    )
    op.execute("insert into epoch values (1)")


def downgrade() -> None:
    op.drop_index("verification_open", table_name="verification", postgresql_where=sa.text("status = 'submitted'"))
    op.drop_index(op.f("verification_institution_id"), table_name="verification")
    op.drop_table("verification")
    op.drop_table("signing_key")
    op.drop_table("sequences")
    op.drop_index("outbox_unsent", table_name="outbox", postgresql_where=sa.text("published_at IS NULL"))
    op.drop_table("outbox")
    op.drop_index("need_updated_at_id", table_name="need")
    op.drop_index("need_institution_id_id", table_name="need")
    op.drop_index("need_deadline", table_name="need", postgresql_where=sa.text("status = 'open'"))
    op.drop_table("need")
    op.drop_index("match_view_parties", table_name="match_view", postgresql_using="gin")
    op.drop_table("match_view")
    op.drop_index(
        "institution_verified_until", table_name="institution", postgresql_where=sa.text("status = 'verified'")
    )
    op.drop_index("institution_updated_at_id", table_name="institution")
    op.drop_index(op.f("institution_parent_id"), table_name="institution")
    op.drop_index("institution_country_id", table_name="institution")
    op.drop_table("institution")
    op.drop_index("inbox_handled_at", table_name="inbox")
    op.drop_table("inbox")
    op.drop_index("idempotency_at", table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index(op.f("external_id_institution_id"), table_name="external_id")
    op.drop_table("external_id")
    op.drop_table("epoch")
    op.drop_index("engagement_running", table_name="engagement", postgresql_where=sa.text("state = 'running'"))
    op.drop_index("engagement_need_id", table_name="engagement")
    op.drop_table("engagement")
    op.drop_table("dead_letter")
    op.drop_table("country_confirmation")
    op.drop_table("country")
    op.drop_table("consumer_positions")
    op.drop_index(op.f("centre_kind"), table_name="centre")
    op.drop_table("centre")
    op.drop_index("capability_updated_at_id", table_name="capability")
    op.drop_index("capability_renew_by", table_name="capability", postgresql_where=sa.text("status = 'published'"))
    op.drop_index("capability_institution_id_id", table_name="capability")
    op.drop_index(op.f("capability_centre_id"), table_name="capability")
    op.drop_table("capability")
    op.drop_index("audit_subject", table_name="audit")
    op.drop_table("audit")
    op.drop_index(op.f("api_key_institution_id"), table_name="api_key")
    op.drop_table("api_key")
