"""Emphasis on LDCs by stated rule: how much a need's place in a capability's ranking weighs."""

from datetime import date

from services.matching.engine.model import NeedFacts
from services.matching.engine.policy import Policy
from services.matching.engine.world import World


def priority(need: NeedFacts, on: date, policy: Policy, world: World) -> float:
    """Urgency weight x status weight, both data of the policy.

    The status weight is the largest among the groups (LDC, LLDC, SIDS) that the need's country is in
    on the day, 1 when it is in none. It orders needs; it never changes a score.
    """
    groups = world.groups(need.country, on)
    status = max((policy.status_weights.get(group, 1.0) for group in groups), default=1.0)
    return policy.urgency_weights.get(need.urgency, 1.0) * status
