"""Folding, stop words and term statistics, in seven scripts and with hostile input."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matching.engine.folding import KEY_LENGTH, form_of
from services.matching.engine.lexicon import default_lexicon
from services.matching.engine.text import TermStatistics, tokens

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
        ("مياه", "المياه", "بالمياه", "للمياه", "والمياه"),
        ("الجلود", "جلود", "والجلود", "للجلود"),
        ("مدبغة", "مدابغ", "المدابغ"),
        ("صناعة", "صناعات", "صناعي", "الصناعية", "للصناعات"),
        ("أسمدة", "اسمده", "الأسمدة"),
        ("завод", "завода", "заводов", "заводами"),
        ("мощность", "мощности", "мощностью", "мощностей"),
        ("рыба", "рыбы", "рыбой"),
        ("кожевенный", "кожевенного", "кожевенная", "кожевенные"),
    ],
)
def test_one_family_of_words_has_one_key(family: tuple[str, ...]) -> None:
    assert len({key for word in family for key in _keys(word)}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("соль", "sol"), ("coco", "cocoa"), ("mineral", "miner"), ("steel", "still"), ("train", "trade"), ("قمح", "قماش")],
)
def test_words_of_different_meaning_stay_apart(one: str, other: str) -> None:
    assert _keys(one) != _keys(other)


@pytest.mark.parametrize(
    "spellings",
    [
        ("tannery", "tanneries"),
        ("fibre", "fiber", "fibres", "fibers"),
        ("mechanisation", "mechanization"),
        ("labour", "labor"),
        ("énergie", "énergies", "energie"),
        ("métal", "métaux", "metal", "metales", "metais"),
        ("motor", "motores"),
        ("produção", "produções"),
        ("producción", "producciones"),
        ("embalagem", "embalagens"),
        ("machine", "machines"),
        ("الصناعية", "صناعي", "صناعيين"),
        ("صناعة", "الصناعات", "للصناعات"),
        ("مزارع", "مزارعون", "المزارعين"),
        ("предприятие", "предприятий", "предприятиями"),
        ("мёд", "мед"),
    ],
)
def test_spellings_and_numbers_of_a_word_have_one_form(spellings: tuple[str, ...]) -> None:
    assert len({form_of(word) for word in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("chilli", "kill"),
        ("truck", "trucha"),
        ("quarry", "car"),
        ("program", "programming"),
        ("flour", "flor"),
        ("рыба", "рыбак"),
        ("رقمي", "رقم"),
        ("دقيقة", "دقيق"),
        ("تعدين", "تعد"),
        ("زيتون", "زيت"),
        ("لحوم", "حوم"),
    ],
)
def test_different_words_have_different_forms(one: str, other: str) -> None:
    assert form_of(one) != form_of(other)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("e-commerce", ["ecomerc"]),
        ("know-how", ["cnowhow"]),
        ("cooperación Sur-Sur", ["coperacion", "sursur"]),
        ("agro-food", ["agro", "fod"]),
        ("trata-se", ["trata"]),
        ("x-ray", ["xrai"]),
        ("小水电-沼气", ["小水", "水电", "沼气"]),
    ],
)
def test_a_hyphenated_word_is_one_if_its_parts_mean_nothing_alone(text: str, keys: list[str]) -> None:
    assert _keys(text) == keys


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
