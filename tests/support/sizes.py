"""Prints how long functions are, and fails when they grow: median <= 10 lines, nine of ten <= 40."""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIAN, P90 = 10, 40


def lengths(folder: Path) -> Iterator[tuple[int, str]]:
    """(lines, place) of every function below a folder."""
    for file in sorted(folder.rglob("*.py")):
        if "versions" in file.parts:
            continue  # generated migrations
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                yield node.end_lineno - node.lineno + 1, f"{file}:{node.lineno} {node.name}"


def main() -> int:
    """0 when the sizes are right."""
    found = sorted(found for folder in ("services", "shared") for found in lengths(Path(folder)))
    lines = [length for length, _ in found]
    median, p90 = statistics.median(lines), lines[int(len(lines) * 0.9)]
    longest = f"longest {found[-1][0]} at {found[-1][1]}"
    sys.stdout.write(f"{len(lines)} functions: median {median:g} lines, p90 {p90}, {longest}\n")
    return int(median > MEDIAN or p90 > P90)


if __name__ == "__main__":
    sys.exit(main())
