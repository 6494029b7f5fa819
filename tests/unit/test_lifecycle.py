"""State tables: the one place for who may move what from where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.lifecycle import NOT_NOW, Guard, Lifecycle, Refused, Step


@dataclass
class Facts:
    paid: bool = True
    answered: bool = False


OWNER, OPERATOR = frozenset({"owner:owner"}), frozenset({"operator"})
TABLE = Lifecycle[Facts](
    "thing",
    (
        Step("open", frozenset({"draft"}), "open", OWNER | OPERATOR, "ThingOpened"),
        Step(
            "sign",
            frozenset({"open"}),
            "signed",
            OWNER,
            "ThingSigned",
            signs=True,
            guards=(
                Guard("invalid_transition", "You have answered already.", lambda f: not f.answered),
                Guard("not_paid", "It is not paid.", lambda f: f.paid),
            ),
        ),
        Step("expire", frozenset({"open"}), "expired", frozenset({"system"}), "ThingExpired"),
    ),
)


def refusal(action: str, status: str, hats: set[str], facts: Facts | None = None, *, can_sign: bool = True) -> Refused:
    with pytest.raises(Refused) as refused:
        TABLE.check(action, status, facts or Facts(), hats, can_sign=can_sign)
    return refused.value


def test_a_step_of_the_table_is_allowed() -> None:
    assert TABLE.check("open", "draft", Facts(), {"owner:owner"}).target == "open"


def test_somebody_else_is_forbidden_whatever_the_status() -> None:
    assert refusal("open", "draft", {"other:owner"}).code == "forbidden"
    assert refusal("open", "signed", set()).code == "forbidden"


def test_the_wrong_status_says_what_is_possible_instead() -> None:
    refused = refusal("open", "open", {"owner:owner"})
    assert refused.code == "invalid_transition"
    assert refused.members["current_status"] == "open"
    assert refused.members["allowed"] == ["sign"]


def test_a_key_that_may_not_sign_is_forbidden_and_not_shown_the_action() -> None:
    assert refusal("sign", "open", {"owner:owner"}, can_sign=False).code == "forbidden"
    assert TABLE.actions("open", Facts(), {"owner:owner"}, can_sign=False) == []


def test_guards_answer_with_their_own_code() -> None:
    assert refusal("sign", "open", {"owner:owner"}, Facts(paid=False)).code == "not_paid"
    assert refusal("sign", "open", {"owner:owner"}, Facts(answered=True)).code == "invalid_transition"
    assert TABLE.actions("open", Facts(paid=False), {"owner:owner"}) == []


def test_the_steps_of_timers_are_nobodys_actions() -> None:
    assert TABLE.actions("open", Facts(), {"system", "owner:owner"}) == ["sign"]
    assert TABLE.check("expire", "open", Facts(), {"system"}).target == "expired"


def test_the_diagram_names_every_step() -> None:
    diagram = TABLE.mermaid()
    assert diagram.startswith("stateDiagram-v2")
    assert "draft --> open: open" in diagram
    assert "open --> expired: expire" in diagram


def refusals_by_code(tree: ast.AST) -> Iterator[str]:
    """What is given as a code to `Refused` or `refuse`: a code, or a name for one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Refused", "refuse"}:
            yield from (ast.unparse(code).strip("'") for code in node.args[:1])


def test_every_answer_that_something_is_not_possible_now_says_what_is() -> None:
    root = Path(__file__).parents[2]
    files = [path for folder in ("services", "shared") for path in (root / folder).rglob("*.py")]
    named = {path.relative_to(root): set(refusals_by_code(ast.parse(path.read_text()))) for path in files}
    assert "forbidden" in set().union(*named.values())
    lacking = [str(path) for path, codes in named.items() if codes & {NOT_NOW, "NOT_NOW"}]
    assert lacking == [], "use NotNow, which asks for the status and for what is possible"
