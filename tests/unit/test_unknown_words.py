"""Words that the concept lexicon does not know, counted over texts of several languages."""

from services.matching.engine.lexicon import default_lexicon
from services.matching.engine.unknown import Candidate, UnknownWords


def candidates(*texts: tuple[str, ...], least: int = 1, limit: int = 50) -> list[Candidate]:
    unknown = UnknownWords(default_lexicon())
    for text in texts:
        unknown.take(text)
    return unknown.most_frequent(limit, least)


def test_a_word_is_counted_once_a_text_in_its_commonest_spelling() -> None:
    texts = [
        ("The zorbing of the frobnicators", "frobnicator"),
        ("A Frobnicator for us",),
        ("frobnicator and zorbing",),
    ]
    assert candidates(*texts)[0] == Candidate("frobnicator", 3, "en", texts[0][0])
    assert [c.word for c in candidates(*texts, least=3)] == ["frobnicator"]
    assert [c.word for c in candidates(*texts, limit=1)] == ["frobnicator"]


def test_known_words_stop_words_and_numbers_are_no_candidates() -> None:
    assert candidates(("Tanneries of the region", "leather", "2026", "CNC"), ("制革废水",)) == [
        Candidate("region", 1, "en", "Tanneries of the region")
    ]


def test_the_language_is_that_of_the_texts() -> None:
    found = {
        c.word: c.language for c in candidates(("Le frobnicateur de la région",), ("El frobnicador de las minas",))
    }
    assert found["frobnicateur"] == "fr"
    assert found["frobnicador"] == "es"


def test_chinese_words_are_cut_out_between_known_words() -> None:
    texts = [("制革的藜蒿污水",), ("水稻藜蒿",), ("藜蒿和沼气",)]
    assert [(c.word, c.texts) for c in candidates(*texts, least=2)] == [("藜蒿", 3)]


def test_a_chinese_word_inside_a_longer_one_is_not_named_twice() -> None:
    assert [c.word for c in candidates(("制革鳗鲡目",), ("水稻鳗鲡目",), least=2)] == ["鳗鲡目"]


def test_hostile_texts_are_counted_too() -> None:
    assert candidates(("",), ("\x00", "🏭"), ("的", "\ud800")) == []
