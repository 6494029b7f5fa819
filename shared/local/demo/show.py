"""What a person sees of the demo: per story its timeline and its figures, then all stories in one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from shared.local.demo.client import DemoError
from shared.local.demo.figures import Figure, number
from shared.local.demo.observed import Seen
from shared.local.demo.play import DemoResult, StoryResult, play_all
from shared.local.demo.timeline import Line, Timeline, short

WIDTH = 100
DOING_SHOWN = 3


async def play_and_show(
    endpoints: Mapping[str, str],
    keys: Mapping[str, Mapping[str, Any]],
    *,
    stories: Sequence[str] | None = None,
    as_json: bool = False,
) -> bool:
    """Plays, prints (one JSON document with `as_json`), and tells whether everything was green."""
    waiting = Console(stderr=True, width=_width(sys.stderr), highlight=False)
    progress = Progress()
    try:
        with Live(get_renderable=progress.line, console=waiting, transient=True, refresh_per_second=8):
            result = await play_all(endpoints, keys, stories=stories, report=progress.tell)
    except DemoError as error:
        waiting.print(Text(str(error), style="red"))
        return False
    if as_json:
        sys.stdout.write(json.dumps(document(result), ensure_ascii=False, indent=2, default=str) + "\n")
    else:
        console = Console(width=_width(sys.stdout), highlight=False)
        for part in pages(result):
            console.print(part)
    return result.green


def _width(out: TextIO) -> int:
    """As wide as the terminal, up to what reads well."""
    return min(Console(file=out).width, WIDTH) if out.isatty() else WIDTH


class Progress:
    """The one line while it works: how many stories are done, what the others do."""

    def __init__(self) -> None:
        self.doing: dict[str, str] = {}
        self.done = 0

    def tell(self, story: str, doing: str) -> None:
        """Called by the player."""
        if doing in {"done", "failed"}:
            self.doing.pop(story, None)
            self.done += 1
        else:
            self.doing.pop("", None)  # what concerned all of them is over
            self.doing[story] = doing

    def line(self) -> RenderableType:
        """As it is now."""
        now = [f"{story}: {doing}" if story else doing for story, doing in self.doing.items()]
        shown = " · ".join(now[-DOING_SHOWN:])
        return Text(f"{self.done} stories played · {shown}", style="dim", no_wrap=True, overflow="ellipsis")


def pages(result: DemoResult) -> Iterator[RenderableType]:
    """Everything, story by story, and the summary at the end."""
    for story in result.stories:
        yield from page(story)
    yield Text()
    yield Rule("All stories", align="left", style="bold")
    yield overview(result)
    yield verdict(result)


def page(result: StoryResult) -> Iterator[RenderableType]:
    """One story."""
    story = result.story
    yield Text()
    yield Rule(Text(f"{story.ref}  {story.title}", style="bold"), align="left", style="bold")
    yield Text(f"{story.case.replace('_', '-')} · {', '.join(result.countries)} · {_how(result)}", style="dim")
    if result.error:
        yield Text(f"✗ Did not get through: {result.error}", style="red")
        return
    for seen in result.projects:
        yield _titled(f"Project: {seen.plan.title}", project_table(seen, result.names), _dates(seen))
    for timeline in result.timelines:
        entered = f"entered on {timeline.lines[0].recorded_at[:10]}, thread {timeline.thread_id}"
        yield _titled(f"Timeline: {timeline.title}", timeline_table(timeline), entered)
    yield _titled("Figures: by hand, and as the system computes them", figure_table(result.computed))
    if result.from_source:
        title = "Figures from the source alone (the exchange holds no such values)"
        yield _titled(title, figure_table(result.from_source, computed="From its values"))
    yield from _bullets("Notes", story.notes)
    yield from _bullets("Where the sources differ", story.conflicts)
    yield from _bullets("Sources", story.sources)


def _how(result: StoryResult) -> str:
    if result.already_played:
        return f"played before, nothing changed · {result.seconds:.1f} s"
    return f"{result.writes} steps in {result.seconds:.1f} s"


def _titled(title: str, body: RenderableType, remark: str = "") -> RenderableType:
    beside = len(title) + len(remark) < WIDTH * 0.9
    head = Text.assemble(("\n" + title, "bold cyan"), ("  " if beside else "\n  ", ""), (remark, "dim"))
    return Group(head, Padding(body, (0, 0, 0, 2)))


def _bullets(title: str, lines: Sequence[str]) -> Iterator[RenderableType]:
    if lines:
        rows = Table.grid(padding=(0, 1))
        for line in lines:
            rows.add_row(Text("-", style="dim"), Text(line, style="dim"))
        yield _titled(title, rows)


def _dates(seen: Seen) -> str:
    project = seen.project
    began, ended = project["started_on"], project["completed_on"]
    days = f", {began or '...'} to {ended or 'today'}" if began else ""
    return f"{project['modality'].replace('_', '-')}, {project['status']}{days}"


def project_table(seen: Seen, names: Mapping[str, str]) -> RenderableType:
    """Who takes part since when, and who gives what."""
    partners = _table()
    partners.add_column("Role", no_wrap=True)
    partners.add_column("Partner", ratio=1)
    partners.add_column("Since", no_wrap=True)
    held = [partner for partner in seen.project["partners"] if partner["from"] != partner["to"]]
    for partner in sorted(held, key=lambda partner: (partner["role"], partner["from"])):
        where = f" ({partner['country']})" if partner["country"] else ""
        partners.add_row(partner["role"], Text(f"{partner['name']}{where}"), partner["from"])
    if not seen.children["contributions"]:
        return partners
    return Group(partners, Text(), _ledger(seen, names))


def _ledger(seen: Seen, names: Mapping[str, str]) -> Table:
    table = _table()
    table.add_column("Gives", ratio=2)
    table.add_column("Receives", ratio=2)
    table.add_column("What", ratio=3)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("State", no_wrap=True)
    for one in reversed(seen.children["contributions"]):
        who = [Text(short(names[one[member]])) for member in ("giver_id", "receiver_id")]
        value, quantity = one["value"], f"{one['quantity']} {(one['unit'] or '').replace('_', ' ')}"
        amount = f"{number(Decimal(value['amount']))} {value['currency']}" if value else quantity
        table.add_row(*who, Text(one["description"]), amount, one["status"])
    return table


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, header_style="dim", pad_edge=False, expand=True
    )


def timeline_table(timeline: Timeline) -> Table:
    """When it was entered, on which day it happened (if that is known), who, what."""
    table = _table()
    table.add_column("Entered", no_wrap=True)
    table.add_column("Happened", no_wrap=True, min_width=10)
    table.add_column("Who", max_width=26)
    table.add_column("What", ratio=1)
    for line in timeline.lines:
        table.add_row(line.recorded_at[11:19], line.happened_on or "", Text(short(line.who)), Text(_what(line)))
    return table


def _what(line: Line) -> str:
    if line.times == 1:
        return line.brief
    often = f"{line.times} times" if line.type == "PartnerRoleChanged" else f"and {line.times - 1} more like it"
    return f"{line.brief.rstrip('.')} ({often})."


def figure_table(figures: Sequence[Figure], computed: str = "Computed") -> Table:
    """Each figure twice, and whether both are equal: in colour, as a sign and in a word."""
    table = _table()
    table.add_column("Figure", ratio=1)
    table.add_column("By hand", justify="right")
    table.add_column(computed, justify="right")
    table.add_column("", no_wrap=True)
    for figure in figures:
        mark = Text("✓ equal", style="green") if figure.equal else Text("✗ DIFFERS", style="bold red")
        what = figure.what[:1].upper() + figure.what[1:]
        table.add_row(escape(what), escape(figure.expected), escape(figure.computed), mark)
    return table


def overview(result: DemoResult) -> Table:
    """One row per story."""
    table = _table()
    table.add_column("Story", no_wrap=True)
    table.add_column("Case", no_wrap=True)
    for title in ("Projects", "Events", "Figures", "of source", "Seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for story in result.stories:
        table.add_row(*_row(story), _mark(story))
    return table


def _row(result: StoryResult) -> list[str]:
    counts = (len(result.projects), result.events, len(result.computed), len(result.from_source))
    name = f"{result.story.ref:<4}{result.story.id}"
    return [name, result.story.case.replace("_", "-"), *(str(count) for count in counts), f"{result.seconds:.1f}"]


def _mark(result: StoryResult) -> Text:
    if result.error:
        return Text("✗ failed", style="bold red")
    if result.red:
        return Text(f"✗ {len(result.red)} differ", style="bold red")
    return Text("✓ all equal", style="green")


def verdict(result: DemoResult) -> Text:
    """The last line."""
    return Text(result.summary, style="bold green" if result.green else "bold red")


def document(result: DemoResult) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "green": result.green,
        "summary": result.summary,
        "seconds": round(result.seconds, 3),
        "stories": [_story_document(story) for story in result.stories],
    }


def _story_document(result: StoryResult) -> dict[str, Any]:
    story = result.story
    return {
        "id": story.id,
        "ref": story.ref,
        "title": story.title,
        "case": story.case,
        "countries": result.countries,
        "already_played": result.already_played,
        "seconds": round(result.seconds, 3),
        "error": result.error,
        "projects": [seen.project for seen in result.projects],
        "threads": [asdict(timeline) for timeline in result.timelines],
        "figures": [{**asdict(figure), "equal": figure.equal} for figure in result.figures],
        "notes": story.notes,
        "conflicts": story.conflicts,
        "sources": story.sources,
    }
