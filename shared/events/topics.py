"""Every topic of the installation (contract section 15): the only place for partitions, retention and cleanup."""

from __future__ import annotations

from shared.messaging.kafka import Topic

INSTITUTIONS = "registry.institutions"
CAPABILITIES = "registry.capabilities"
NEEDS = "registry.needs"
CENTRES = "registry.centres"
NETWORKS = "registry.networks"
COUNTRIES = "registry.countries"
TRADE = "registry.trade"
REVIEWS = "registry.reviews"
ACCOUNTS = "registry.accounts"
MATCHES = "matching.matches"
POLICIES = "matching.policies"
PROJECTS = "projects.projects"
PRACTICES = "projects.practices"
WEBHOOKS = "notifications.webhooks"

TOPICS = (
    Topic(INSTITUTIONS, "compact"),
    Topic(CAPABILITIES, "compact"),
    Topic(NEEDS),
    Topic(CENTRES, "compact"),
    Topic(NETWORKS, "compact"),
    Topic(COUNTRIES, "compact"),
    Topic(TRADE, "compact"),
    Topic(REVIEWS, "delete"),
    Topic(ACCOUNTS, "compact"),
    Topic(MATCHES),
    Topic(POLICIES),
    Topic(PROJECTS),
    Topic(PRACTICES),
    Topic(WEBHOOKS, "delete"),
)
