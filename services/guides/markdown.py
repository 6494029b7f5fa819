"""What the generated sections are written in."""

from __future__ import annotations


def table(*rows: tuple[str, ...]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def first_line(text: str | None) -> str:
    """The summary of a docstring."""
    return (text or "").strip().partition("\n")[0]
