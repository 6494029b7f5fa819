"""Words in seven languages: a title and a short plain sentence per event type, from `locales/<language>.json`."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from services.notifications.domain.facts import Facts

LANGUAGES = ("en", "fr", "es", "pt", "ar", "zh", "ru")
DEFAULT = "en"
OTHER = "_other"


@cache
def locale(language: str) -> dict[str, Any]:
    """All words of one language."""
    text = resources.files("services.notifications").joinpath("locales", f"{language}.json").read_text("utf-8")
    words: dict[str, Any] = json.loads(text)
    return words


def choose(languages: Sequence[str]) -> str:
    """The institution's first language if there are words in it, else English."""
    return languages[0] if languages and languages[0] in LANGUAGES else DEFAULT


def template_of(name: str, hat: str = "") -> str:
    """The template for this part in this event."""
    events = locale(DEFAULT)["events"]
    return next((key for key in (f"{name}.{hat}", name) if key in events), OTHER)


def institutions_in(all_facts: Iterable[Facts]) -> set[str]:
    """Ids of the institutions whose names are needed."""
    return {who["id"] for facts in all_facts for who in facts["who"].values() if who["id"]}


def render(language: str, template: str, facts: Facts, names: Mapping[str, tuple[str, str | None]]) -> tuple[str, str]:
    """Title and text; `names` gives (name, country) of institutions by id, as far as they are known."""
    words = locale(language)
    title, text = words["events"].get(template) or words["events"][OTHER]
    values = {**facts["words"], "reason": _reason(words, facts["reason"])}
    values |= {placeholder: _who(words, who, names) for placeholder, who in facts["who"].items()}
    return title.format_map(values), text.format_map(values)


def _reason(words: dict[str, Any], code: str | None) -> str:
    if code is None:
        return str(words["no_reason"])
    return str(words["reasons"].get(code, code.replace("_", " ")))


def _who(words: dict[str, Any], who: dict[str, Any], names: Mapping[str, tuple[str, str | None]]) -> str:
    if who["id"] is None:
        return str(words["system" if who.get("via") == "system" else "operator"])
    name, country = names.get(who["id"]) or (who.get("name"), who.get("country"))
    if not name:
        return str(who["id"])  # not heard of yet: shown as an id, never a reason to wait
    return f"{name} ({country})" if country else name
