"""Folding of one word of seven languages: into its key, and into its form.

A **key** is not a word but what words of one family share: `tannery`, `tanneries` and `tannerie` give one
key, and so do `production`, `produção` and `producción`. Words of a text are compared by key, where many
words decide together and a chance meeting (`truck`, Spanish `trucha`) weighs little.
A **form** is one word whatever its spelling and number: `fibres` is `fiber`, but `kill` is no `chilli`. The
labels of the concept lexicon are found by form, since each of them decides alone and has its own
label in every language. The rules are spelling rules, no dictionary.
"""

import re
from functools import lru_cache

from anyascii import anyascii

KEY_LENGTH = 14
"""Keys are cut here: bounds what a match stores, and joins the last inflections of long words."""

ARABIC = re.compile(r"[\u0621-\u064a\u0671-\u06d3]")
CYRILLIC = re.compile(r"[\u0400-\u04ff]")
DOUBLED = re.compile(r"([a-z])\1")
NOT_KEY = re.compile(r"[^a-z0-9]")


@lru_cache(maxsize=262_144)
def key_of(word: str) -> str:
    """Key of one casefolded word without spaces; empty when nothing is left of it."""
    word = word[:64]
    if ARABIC.search(word):
        return arabic(word)[:KEY_LENGTH]
    if CYRILLIC.search(word):
        latin = NOT_KEY.sub("", anyascii(russian(word)).lower())
        return latin[:KEY_LENGTH] if len(latin) >= LONG_ENOUGH or not latin else ("r_" + latin)[:KEY_LENGTH]
    return latin_stem(NOT_KEY.sub("", anyascii(word).lower()))[:KEY_LENGTH]


@lru_cache(maxsize=262_144)
def form_of(word: str) -> str:
    """Form of one casefolded word without spaces; empty when nothing is left of it."""
    word = word[:64]
    if ARABIC.search(word):
        return arabic_form(word)
    if CYRILLIC.search(word):
        return russian(word.replace("ё", "е"))
    return latin_form(NOT_KEY.sub("", anyascii(word).lower()))


LONG_ENOUGH = 6
"""Shorter Russian words would meet others by chance: `соль` (salt) is no `sol` (soil)."""
ARABIC_STEM, RUSSIAN_STEM, LATIN_STEM = 3, 3, 4
"""Letters that must be left of a word when an ending is dropped."""

ARABIC_LETTERS = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي"})
"""Letters that are spelled one for the other: hamza on its seat, final ya and ta marbuta."""
ARABIC_ARTICLES = ("بال", "كال", "فال", "لل")
ARABIC_ENDINGS = ("يات", "ات", "يه", "ها", "ه", "ي")
ARABIC_PARTICLES = frozenset("وفبلك")
BROKEN_PLURAL = 5
"""Letters of a word whose third one, a long a, makes the plural: `مدابغ` of `مدبغة`."""


def arabic(word: str) -> str:
    """Drop the article with its particles, one ending, and the long a of the commonest broken plural.

    So `مدبغة` and `مدابغ` meet, and `صناعي` with `الصناعات`. After the light stemmers of Arabic retrieval
    (Larkey, Ballesteros and Connell, 2002), with the broken plural as our addition.
    """
    return _singular(_without_ending(_without_people(_bare(word)), ARABIC_ENDINGS, ARABIC_STEM))


def arabic_form(word: str) -> str:
    """As `arabic`, but an adjective stays apart from its noun and a feminine noun from the masculine one.

    So `الصناعية` is `صناعي` and `صناعات` is `صناعة`, but `رقمي` (digital) is no `رقم` (number).
    """
    word = _without_people(_bare(word))
    for ending, common in (("يات", "يات"), ("ات", "ه"), ("يه", "ي")):
        if word.endswith(ending) and len(word) - len(ending) >= ARABIC_STEM - 1:
            return word[: len(word) - len(ending)] + common
    return _singular(word)


def _without_people(word: str) -> str:
    """Drop the plural of those who do something (`مزارعون`), which only looks like the end of `زيتون` or `تعدين`."""
    if word.endswith(("يون", "يين")):
        return _without_ending(word, ("ون", "ين"), ARABIC_STEM)
    doers = word.startswith("م") or ("ا" in word[1:3] and not word.startswith("ت"))
    return _without_ending(word, ("ون", "ين"), ARABIC_STEM) if doers else word


def _bare(word: str) -> str:
    word = _without_prefix(word, ("و",), ARABIC_STEM + 1)
    word = _without_prefix(word, ARABIC_ARTICLES, ARABIC_STEM)
    # `البن` (the coffee) has two letters left; looked at before `آلات` (machines) is spelled with the same alef
    return _without_prefix(word, ("ال",), 2).translate(ARABIC_LETTERS)


def _singular(word: str) -> str:
    broken = len(word) == BROKEN_PLURAL and word[2] == "ا" and word[3] != "ي" and word[4] not in "هي"
    return word[:2] + word[3:] if broken else word


def without_particle(word: str) -> str | None:
    """Give an Arabic word without the one-letter word that is written together with it, if it may hold one.

    `لتدريب` is `تدريب` (training) with `for`, but `لحوم` (meat) only looks like that: the caller must know
    which of the two is a word.
    """
    return word[1:] if word[0] in ARABIC_PARTICLES and len(word) > ARABIC_STEM + 1 else None


def _without_prefix(word: str, prefixes: tuple[str, ...], stays: int) -> str:
    found = next((p for p in prefixes if word.startswith(p) and len(word) - len(p) >= stays), "")
    return word[len(found) :]


def _without_ending(word: str, endings: tuple[str, ...], stays: int) -> str:
    found = next((e for e in endings if word.endswith(e) and len(word) - len(e) >= stays), "")
    return word[: len(word) - len(found)]


# ruff: noqa: RUF001 (Cyrillic endings are meant)
RUSSIAN_ENDINGS = (
    *("иями", "ями", "ами", "его", "ого", "ему", "ому", "ими", "ыми", "иях", "ией", "ием", "иям"),
    *("ях", "ах", "ям", "ам", "ию", "ия", "ии", "ие", "ов", "ев", "ей", "ой", "ый", "ий", "ая", "яя", "ое", "ее"),
    *("ые", "ую", "юю", "ом", "ем", "их", "ых", "ью", "а", "я", "о", "е", "ы", "и", "у", "ю", "ь", "й"),
)


def russian(word: str) -> str:
    """Drop the longest case ending that leaves three letters."""
    return _without_ending(word, RUSSIAN_ENDINGS, RUSSIAN_STEM)


SUFFIXES = (
    # (endings of English, French, Spanish, Portuguese; common form; letters that must stay before it)
    (("ciones", "tions", "coes", "cion", "tion", "cao"), "cion", 2),
    (("siones", "sions", "soes", "sion", "sao"), "sion", 3),
    (("idades", "idade", "idad", "ities", "ity", "ites", "ite"), "it", 3),
    (("amientos", "imientos", "amiento", "imiento", "amentos", "imentos", "amento", "imento"), "ment", 3),
    (("ements", "ement", "ments", "ment"), "ment", 3),
    (("iques", "ique", "ically", "ical", "icas", "icos", "ics", "ica", "ico"), "ic", 3),
    (("aires", "aire", "arios", "arias", "ario", "aria", "aries", "ary"), "ar", 3),
    (("ielles", "ielle", "iels", "iel"), "ial", 3),
    (("eaux",), "eau", 2),
    (("aux",), "al", 3),
    (("ings", "ing", "ed"), "", 4),
)
SPELLINGS = (
    ("ph", "f"),
    ("th", "t"),
    ("qu", "c"),
    ("ch", "c"),
    ("ct", "t"),
    ("q", "c"),
    ("k", "c"),
    ("y", "i"),
    ("z", "s"),
)


def latin_stem(word: str) -> str:
    """Give the common key of a word family across English, French, Spanish and Portuguese spelling.

    Ending classes first, else plural -s and final vowels; then spellings that differ between the
    four for one sound. Words of three letters are left alone.
    """
    if len(word) < LATIN_STEM or word.isdigit():
        return word
    word = _common_ending(word)
    for spelling, common in SPELLINGS:
        word = word.replace(spelling, common)
    return DOUBLED.sub(r"\1", word)


def _common_ending(word: str) -> str:
    for endings, common, stays in SUFFIXES:
        for ending in endings:
            if word.endswith(ending) and len(word) - len(ending) >= stays:
                return word[: -len(ending)] + common
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if word.endswith("e") and len(word) > LATIN_STEM:
        word = word[:-1]
    for _ in range(2):
        if word[-1] in "aeioy" and len(word) > LATIN_STEM + 1:
            word = word[:-1]
    return word


ENDINGS_OF_FORMS = (
    # (endings, the one that they become, letters that must stay before it)
    (("isations", "isation", "izations"), "ization", 2),
    (("ising", "ised", "iser", "isers", "izers"), "iz", 3),
    (("coes",), "cao", 2),
    (("soes",), "sao", 2),
    (("eaux",), "eau", 1),
    (("aux", "ais"), "al", 3),
    (("ies", "ie"), "y", 3),
    (("gens",), "gem", 2),
    (("abour", "abours"), "abor", 0),
    (("avour", "avours"), "avor", 0),
    (("olour", "olours"), "olor", 0),
    (("bre", "bres", "bers"), "ber", 2),
    (("tre", "tres", "ters"), "ter", 2),
)
"""Spellings of one word: British and American, and plurals of four languages that no final s makes."""


def latin_form(word: str) -> str:
    """One spelling and the singular of a word of English, French, Spanish or Portuguese, accents gone already."""
    if len(word) < LATIN_STEM or word.isdigit():
        return word
    for endings, common, stays in ENDINGS_OF_FORMS:
        for ending in endings:
            if word.endswith(ending) and len(word) - len(ending) >= stays:
                return word[: -len(ending)] + common
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > LATIN_STEM else word
