"""Figures of the last run of each bench, in `results.json` beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "results.json"


def keep(name: str, figures: dict[str, Any]) -> None:
    """Writes the figures of a bench in the place of its earlier ones."""
    held = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    held[name] = {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
    FILE.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", encoding="utf-8")
