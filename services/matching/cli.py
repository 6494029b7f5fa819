"""The commands of matching alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shared.cli import AsJson, inside, loaded, show

if TYPE_CHECKING:
    from services.matching.engine.unknown import Candidate
    from shared.service import Running

commands = typer.Typer(help="The match engine's words.", no_args_is_help=True)


@commands.command("words")
def words(
    limit: Annotated[int, typer.Option(help="At most so many words.", min=1)] = 50,
    least: Annotated[int, typer.Option(help="Only words that stand in so many texts.", min=1)] = 2,
    as_json: AsJson = False,
) -> None:
    """List frequent words of posted needs and capabilities that the concept lexicon does not know."""
    from services.matching.app import build
    from services.matching.settings import Settings

    async def work(running: Running) -> list[Candidate]:
        from services.matching.engine.lexicon import default_lexicon
        from services.matching.engine.unknown import UnknownWords
        from services.matching.store import texts

        unknown = UnknownWords(default_lexicon())
        async with running.transactions.background() as tx:
            async for parts in texts.posted(tx):
                unknown.take(parts)
        return unknown.most_frequent(limit, least)

    found = inside(loaded(build, Settings), work)
    rows = [{"word": c.word, "texts": c.texts, "language": c.language, "example": c.example} for c in found]
    show(rows, as_json=as_json, title="Unknown words")
