"""Folding, stop words, statistics and the concept lexicon, in seven scripts and with hostile input."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matching.engine.lexicon import DATA, LANGUAGES, MARK, Concept, Lexicon, default_lexicon
from services.matching.engine.text import KEY_LENGTH, Document, TermStatistics, tokens
from shared.reference import classifications

LEXICON = default_lexicon()


def _keys(text: str) -> list[str]:
    return [token.key for token in tokens(text)]


@pytest.mark.parametrize(
    "family",
    [
        ("tannery", "tanneries", "tannerie", "Tannerie"),
        ("production", "producción", "produção", "PRODUCTIONS"),
        ("quality", "qualité", "qualidade", "qualities"),
        ("technology", "technologies", "tecnología", "tecnologias"),
        ("equipment", "équipement", "equipamento", "equipamiento"),
        ("electricity", "électricité", "electricidad", "eletricidade"),
        ("machine", "machines", "máquina", "máquinas"),
        ("réseau", "réseaux"),
        ("обувь", "обуви"),
        ("الجلود", "جلود"),
    ],
)
def test_one_family_of_words_has_one_key(family: tuple[str, ...]) -> None:
    assert len({key for word in family for key in _keys(word)}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("соль", "sol"), ("coco", "cocoa"), ("mineral", "miner"), ("steel", "still"), ("train", "trade")],
)
def test_words_of_different_meaning_stay_apart(one: str, other: str) -> None:
    assert _keys(one) != _keys(other)


def test_stop_words_are_looked_up_with_their_accents() -> None:
    assert _keys("mais plus de la") == []
    assert _keys("maïs") == _keys("maize") != []
    assert _keys("the of and for with our") == []


def test_chinese_becomes_pairs_of_characters() -> None:
    assert _keys("制革废水") == ["制革", "革废", "废水"]
    assert _keys("的") == []
    assert _keys("GMP认证") == ["gmp", "认证"]


HOSTILE = [
    "",
    " ",
    "\x00",
    "\ud800",
    "🏭🇪🇹👩🏽‍🔧",
    "\u2019\u2019---___",
    "\u0301\u0301\u0640",
    "a" * 5000,
    "制" * 5000,
    "x\x00" * 2500,
    "ﷺ" * 100,
    "Ǆ" * 50,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_gives_bounded_keys(text: str) -> None:
    assert all(1 < len(key) <= KEY_LENGTH and key.isprintable() for key in _keys(text) if key != "制")
    LEXICON.document([text])


@given(st.text(max_size=200))
def test_any_text_folds_the_same_way_twice(text: str) -> None:
    assert _keys(text) == _keys(text)
    json.dumps(_keys(text)).encode()


def test_statistics_do_not_depend_on_order() -> None:
    documents = [LEXICON.document([text]) for text in ("tanning of leather", "riz", "leather shoes")]
    assert TermStatistics.of(7, documents) == TermStatistics.of(7, reversed(documents))
    statistics = TermStatistics.of(7, documents)
    assert statistics.documents == 3
    assert statistics.average_length == 5 / 3
    assert statistics.document_frequency[_keys("leather")[0]] == 2
    assert TermStatistics.of(1, []).average_length == 0.0


@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ("tanning", ("tannerie", "curtume", "curtiembre", "tanneries", "制革", "дубление", "دباغة الجلود")),
        ("small_hydropower", ("small hydropower", "小水电", "petite hydroélectricité", "minihidráulica")),
        ("solar_power", ("photovoltaic", "énergie solaire", "energia solar", "طاقة شمسية", "солнечная энергия")),
        ("cassava", ("cassava", "manioc", "yuca", "mandioca", "木薯", "маниок")),
        ("metrology", ("metrology", "métrologie", "metrología", "metrologia", "计量", "метрология", "معايرة")),
        ("biogas", ("biogas", "biogaz", "biogás", "沼气", "биогаз", "غاز حيوي")),
    ],
)
def test_words_of_all_languages_meet_in_a_concept(concept: str, words: tuple[str, ...]) -> None:
    for word in words:
        assert MARK + concept in LEXICON.document([f"... {word} ..."]).frequencies, word


def test_the_longest_phrase_wins_and_counts_as_broader() -> None:
    found = LEXICON.document(["small hydropower"]).frequencies
    assert {MARK + "small_hydropower", MARK + "hydropower", MARK + "renewable_energy"} <= found.keys()
    assert MARK + "small_hydropower" not in LEXICON.document(["hydropower"]).frequencies


def test_a_loop_of_broader_concepts_ends() -> None:
    looped = Lexicon.of([Concept("a", {"en": ("alpha",)}, broader="b"), Concept("b", {"en": ("beta",)}, broader="a")])
    assert set(looped.document(["alpha"]).frequencies) >= {"~a", "~b"}


def test_concepts_imply_sectors() -> None:
    assert "1511" in LEXICON.implied_isic(LEXICON.document(["Une tannerie propre"]))
    assert LEXICON.implied_isic(Document(3, {"abc": 3})) == ()


def test_the_lexicon_is_complete_and_its_codes_exist() -> None:
    lines = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= 150
    assert len({line["id"] for line in lines}) == len(lines)
    for line in lines:
        assert all(line[language] for language in LANGUAGES), line["id"]
        assert all(classifications.is_isic(code) for code in line.get("isic", [])), line["id"]
        assert all(classifications.is_hs(code) for code in line.get("hs", [])), line["id"]
        assert all(classifications.is_sdg(code) for code in line.get("sdg", [])), line["id"]
        assert line.get("broader") is None or line["broader"] in LEXICON.concepts, line["id"]


def test_every_label_of_the_lexicon_finds_some_concept() -> None:
    for concept in LEXICON.concepts.values():
        for label in (label for labels in concept.labels.values() for label in labels):
            assert any(term.startswith(MARK) for term in LEXICON.document([label]).frequencies), label
