"""The concept files: what they hold, and that every fault in them is refused with its place."""

from pathlib import Path

import pytest

from services.matching.engine import concepts
from services.matching.engine.concepts import LANGUAGES, Concept, LexiconError
from services.matching.engine.lexicon import MARK, Lexicon, default_lexicon
from services.matching.engine.text import Document

GOOD = """
# a comment
tanning
  broader: leather
  isic: 1511
  hs: 41
  sdg: 12.4
  en: tanning; tannery
  fr: tannage
  es: curtido
  pt: curtume
  ar: دباغة
  zh: 制革
  ru: дубление

leather
  en: leather
  fr: cuir
  es: cuero
  pt: couro
  ar: جلد
  zh: 皮革
  ru: кожа
"""


def read(folder: Path, text: str) -> Lexicon:
    (folder / "some.txt").write_text(text, encoding="utf-8")
    return Lexicon.of(concepts.read(folder))


def test_a_block_becomes_a_concept(tmp_path: Path) -> None:
    lexicon = read(tmp_path, GOOD)
    found = lexicon.concepts["tanning"]
    assert (found.isic, found.hs, found.sdg, found.broader) == (("1511",), ("41",), ("12.4",), ("leather",))
    assert found.labels["en"] == ("tanning", "tannery")
    assert list(found.labels) == list(LANGUAGES)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("isic: 9999", "isic: 1511", "some.txt:3: tanning: there is no isic code 9999"),
        ("hs: 9999", "hs: 41", "there is no hs code 9999"),
        ("sdg: 9.z", "sdg: 12.4", "there is no sdg code 9.z"),
        ("broader: lether", "broader: leather", "there is no broader concept lether"),
        ("broader: tanning", "broader: leather", "tanning is broader than itself"),
        ("Tanning!\n", "tanning\n", "'Tanning!' is no id"),
        ("leather\n  broader: tanning\n  en", "leather\n  en", "leather is broader than itself"),
        ("tanning\n  en: leather", "leather\n  en: leather", "The id tanning stands 2 times"),
        ("  zh: ", "  zh: 制革", "tanning has no label in zh"),
        ("  zh: 革", "  zh: 制革", "'革' cannot be found in texts"),
        ("  en: of the", "  en: tanning; tannery", "'of the' cannot be found in texts"),
        ("  es: bajo en carbono", "  es: curtido", "of 'bajo en carbono' only 'carbono' is left without stop words"),
        ("  en: tanning; tanning", "  en: tanning; tannery", "some.txt:3: en of tanning says 'tanning' twice"),
        ("  en: tanning; leathers", "  en: tanning; tannery", "some.txt:3 'leathers' (en), some.txt:16 'leather' (en)"),
        ("  pt: curtume; cuero", "  pt: curtume", "One phrase for several concepts"),
        ("  en: tanning\n  en: tannery", "  en: tanning; tannery", "some.txt:9: en stands twice in tanning"),
        ("  de: Gerberei", "  fr: tannage", "some.txt:9: 'de' is no field"),
        ("  fr tannage", "  fr: tannage", "'fr tannage' is no field"),
        ("  en: x\ntanning", "tanning", "some.txt:3: a field before the first concept"),
    ],
)
def test_a_fault_is_refused_with_its_place(tmp_path: Path, wrong: str, right: str, message: str) -> None:
    assert right in GOOD
    with pytest.raises(LexiconError) as refused:
        read(tmp_path, GOOD.replace(right, wrong, 1))
    assert message in str(refused.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(LexiconError) as refused:
        read(tmp_path, GOOD.replace("1511", "9999").replace("41", "98765").replace("  ru: кожа\n", ""))
    assert len(str(refused.value).splitlines()) == 3


def test_a_folder_without_concepts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LexiconError, match="No concept"):
        concepts.read(tmp_path)


FILE_OR_FRUIT = [
    Concept("lime", {"en": ("lime fruit",), "es": ("?lima",)}),
    Concept("hand_file", {"en": ("hand file",), "pt": ("?lima",)}),
    Concept("millet", {"en": ("millet",), "fr": ("?mil",)}),
    Concept("lima_bean", {"en": ("lima",)}),
]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("la lima con las manos", {"~lime"}),
        ("uma lima para as peças", {"~hand_file"}),
        ("le mil et les autres", {"~millet"}),
        ("mil y una noches", set()),
        ("mil", set()),
        ("lima", {"~lima_bean"}),
        ("a lima with the beans", {"~lima_bean"}),
    ],
)
def test_an_ambiguous_label_counts_in_texts_of_its_language(text: str, named: set[str]) -> None:
    found = Lexicon.of(FILE_OR_FRUIT).document([text]).frequencies
    assert {term for term in found if term.startswith(MARK)} == named


def test_the_language_is_that_of_all_texts_together() -> None:
    found = Lexicon.of(FILE_OR_FRUIT).document(["Lima", "para as peças da oficina"]).frequencies
    assert "~hand_file" in found


def test_several_broader_concepts_all_count_once() -> None:
    made = [
        Concept("a", {"en": ("alpha",)}, broader=("b", "c")),
        Concept("b", {"en": ("beta",)}, broader=("d",)),
        Concept("c", {"en": ("gamma",)}, broader=("d",)),
        Concept("d", {"en": ("delta",)}),
    ]
    found = Lexicon.of(made).document(["alpha"]).frequencies
    assert {term: n for term, n in found.items() if term.startswith(MARK)} == {"~a": 1, "~b": 1, "~c": 1, "~d": 1}


def test_concepts_imply_sectors() -> None:
    lexicon = default_lexicon()
    assert "1511" in lexicon.implied_isic(lexicon.document(["Une tannerie propre"]))
    assert lexicon.implied_isic(Document(3, {"abc": 3})) == ()


def test_a_text_is_about_what_it_names_most_not_about_all_that_it_names() -> None:
    lexicon = default_lexicon()
    said = "Tannery, tannery effluent, tanneries of leather: technicians come by motorcycle, sell honey and grow tea"
    implied = lexicon.implied_isic(lexicon.document([said]))
    assert "1511" in implied
    assert {"3091", "0149", "0127"}.isdisjoint(implied)


def test_the_lexicon_covers_the_field() -> None:
    found = default_lexicon().concepts.values()
    assert len(found) >= 800
    assert sum(1 for concept in found if concept.isic) >= 700
    assert all(concept.labels[language] for concept in found for language in LANGUAGES)
