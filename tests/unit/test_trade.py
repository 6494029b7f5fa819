"""Trade figures: what is wrong with a file is said by line and column; sums and shares are those of a hand count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from services.matching.engine.criteria import trade
from services.matching.engine.world import Flows as WorldFlows
from services.matching.engine.world import ReferenceWorld, michaely
from services.matching.facts import flows, shares
from services.registry.domain import trade as rules
from services.registry.domain.trade import Place, read_csv
from shared.lifecycle import Refused
from shared.reference.types import dollars_text

ON = date(2026, 11, 24)
HEADER = "reporter,partner,hs,year,value"


def read(*rows: str, header: str = HEADER) -> rules.Flows:
    return read_csv("\n".join([header, *rows, ""]).encode(), ON)


def faults(*rows: str, header: str = HEADER) -> list[tuple[str, str]]:
    """Pointers and codes of what is wrong."""
    with pytest.raises(Refused) as refused:
        read(*rows, header=header)
    assert refused.value.code == "validation_failed"
    return [(error["pointer"], error["code"]) for error in refused.value.members["errors"]]


def test_codes_are_counted_to_their_chapter() -> None:
    """Hand: 0901 sold for 100.10 and 090230 for 0.9 make 101 of chapter 09."""
    found = read("ETH,IND,0901,2024,100.10", "ETH,IND,090230,2024,0.9", "ETH,IND,41,2024,7", "ETH,IND,41,2023,5")
    assert found.rows == 4
    assert found.values == {
        Place(2024, "ETH", "IND", "09"): Decimal("101.00"),
        Place(2024, "ETH", "IND", "41"): Decimal(7),
        Place(2023, "ETH", "IND", "41"): Decimal(5),
    }
    assert found.covered == {("ETH", 2024), ("ETH", 2023)}
    assert found.countries == {"ETH", "IND"}


def test_columns_stand_in_any_order_and_empty_lines_are_no_rows() -> None:
    found = read_csv("\ufeffvalue,year,hs,partner,reporter\r\n1.5,1988,01,KEN,UGA\r\n\r\n".encode(), ON)
    assert (found.rows, found.values) == (1, {Place(1988, "UGA", "KEN", "01"): Decimal("1.5")})


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("ethiopia,IND,09,2024,1", [("/2/reporter", "country_unknown")]),
        ("ET,IND,09,2024,1", [("/2/reporter", "country_unknown")]),
        ("ETH,,09,2024,1", [("/2/partner", "country_unknown")]),
        ("ETH,ETH,09,2024,1", [("/2/partner", "partner_is_reporter")]),
        ("ETH,IND,9,2024,1", [("/2/hs", "hs_unknown")]),
        ("ETH,IND,77,2024,1", [("/2/hs", "hs_unknown")]),
        ("ETH,IND,090,2024,1", [("/2/hs", "hs_unknown")]),
        ("ETH,IND,09011100,2024,1", [("/2/hs", "hs_unknown")]),
        ("ETH,IND,\u0660\u0669,2024,1", [("/2/hs", "hs_unknown")]),
        ("ETH,IND,09,1987,1", [("/2/year", "year_invalid")]),
        ("ETH,IND,09,2027,1", [("/2/year", "year_invalid")]),
        ("ETH,IND,09,24,1", [("/2/year", "year_invalid")]),
        ("ETH,IND,09,2024,-1", [("/2/value", "value_invalid")]),
        ("ETH,IND,09,2024,", [("/2/value", "value_invalid")]),
        ("ETH,IND,09,2024,1e5", [("/2/value", "value_invalid")]),
        ("ETH,IND,09,2024,NaN", [("/2/value", "value_invalid")]),
        ('ETH,IND,09,2024,"1,000"', [("/2/value", "value_invalid")]),
        ("ETH,IND,09,2024,0.1234567", [("/2/value", "value_invalid")]),
        ("ETH,IND,09,2024,1000000000000000", [("/2/value", "value_invalid")]),
        ("ETH,IND,09,2024", [("/2", "cells_differ")]),
        ("ETH,IND,09,2024,1,2", [("/2", "cells_differ")]),
        ('ETH,IND,"09"x,2024,1', [("/2", "csv_invalid")]),
        ("x,y,z,w,v", [(f"/2/{name}", code) for name, code in (
            ("reporter", "country_unknown"), ("partner", "country_unknown"), ("hs", "hs_unknown"),
            ("year", "year_invalid"), ("value", "value_invalid"),
        )]),
    ],
)  # fmt: skip
def test_a_bad_cell_is_named_by_line_and_column(row: str, wrong: list[tuple[str, str]]) -> None:
    assert faults(row) == wrong
    assert faults("ETH,IND,09,2024,1", row) == [(pointer.replace("/2", "/3", 1), code) for pointer, code in wrong]


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("reporter,partner,hs,year", [("/1/value", "column_missing")]),
        ("reporter,partner,hs,year,value,note", [("/1/note", "column_unknown")]),
        ("reporter,partner,hs,hs,year,value", [("/1/hs", "column_twice")]),
        ("Reporter,partner,hs,year,value", [("/1/reporter", "column_missing"), ("/1/Reporter", "column_unknown")]),
    ],
)
def test_a_wrong_first_line_is_said_and_nothing_else(header: str, wrong: list[tuple[str, str]]) -> None:
    assert faults("ETH,IND,x,2024,1", header=header) == wrong


def test_a_line_that_stands_twice_is_named_with_the_other() -> None:
    assert faults("ETH,IND,09,2024,1", "ETH,IND,41,2024,1", "ETH,IND,09,2024,2") == [("/4/hs", "duplicate")]


def test_a_chapter_beside_its_own_headings_would_count_twice() -> None:
    rows = ("ETH,IND,0901,2024,1", "ETH,IND,09,2024,3", "ETH,IND,090111,2024,1", "ETH,KEN,0901,2024,1")
    assert faults(*rows) == [("/2/hs", "overlap"), ("/4/hs", "overlap")]


def test_words_say_what_is_wrong_and_what_to_do() -> None:
    with pytest.raises(Refused) as refused:
        read("ETH,IND,9,2024,1")
    message = (
        'Line 2, column hs "9": Must be an HS chapter, or a code of 4 or 6 digits, with its leading zero, such as 09'
    )
    assert refused.value.members["errors"] == [{"pointer": "/2/hs", "code": "hs_unknown", "message": message}]
    assert refused.value.detail == f"1 fault in the file, nothing was stored. {message}"


def test_the_first_fifty_are_listed_and_all_are_counted() -> None:
    with pytest.raises(Refused) as refused:
        read(*["ETH,IND,09,x,1"] * 73)
    assert len(refused.value.members["errors"]) == 50
    assert refused.value.detail.startswith("73 faults in the file, nothing was stored.")


def test_files_without_rows_and_files_of_another_encoding_are_refused() -> None:
    assert faults() == [("/2", "missing")]
    for raw, wrong in (
        (b"", ("/1/reporter", "column_missing")),
        (f"{HEADER}\nC\xf4te".encode("latin-1"), ("/2", "not_utf8")),
    ):
        with pytest.raises(Refused) as refused:
            read_csv(raw, ON)
        first = refused.value.members["errors"][0]
        assert (first["pointer"], first["code"]) == wrong


def test_too_many_rows_are_too_large_a_body() -> None:
    with pytest.raises(Refused) as refused:
        read(*["ETH,IND,09,2024,1"] * (rules.MOST_ROWS + 1))
    assert refused.value.code == "body_too_large"


@pytest.mark.parametrize(
    ("number", "text"),
    [("0", "0.00"), ("120", "120.00"), ("120.5", "120.50"), ("0.125", "0.125"), ("1E+3", "1000.00")],
)
def test_dollars_are_written_with_their_cents(number: str, text: str) -> None:
    assert dollars_text(Decimal(number)) == text


# What matching makes of it


@dataclass(frozen=True)
class Row:
    """A profile as the table holds it."""

    country: str
    exports: dict[str, str]
    imports: dict[str, str]


def world(*rows: Row) -> ReferenceWorld:
    listed: Any = rows
    return ReferenceWorld(flows=flows(listed))


def test_shares_are_parts_of_the_sum_of_their_side() -> None:
    """Hand: 60 and 20 of 80 are three quarters and one quarter."""
    assert shares({"09": "60.00", "41": "20.00"}) == {"09": 0.75, "41": 0.25}
    assert shares({}) == shares({"09": "0.00"}) == {}


def test_a_side_of_which_nothing_is_known_does_not_stand_there() -> None:
    """Else it would count as trade that fits by half, since no share differs from none."""
    rows: Any = [Row("ETH", {"09": "5.00"}, {}), Row("KEN", {}, {"09": "0.00"})]
    assert flows(rows) == WorldFlows(exports={"ETH": {"09": 1.0}}, imports={})
    known = world(*rows)
    assert (known.trades("ETH", ON), known.trades("KEN", ON), known.trades("IND", ON)) == (True, False, False)
    assert known.complementarity("ETH", "KEN", ON) is None


def test_complementarity_of_two_profiles() -> None:
    """Hand: India sells 3/4 leather and 1/4 tea, Ethiopia buys 1/2 leather and 1/2 machines.

    1 - (|1/2 - 3/4| + |0 - 1/4| + |1/2 - 0|) / 2 = 1/2; what Ethiopia sells, coffee and tea, India buys none of.
    """
    india = Row("IND", {"41": "750.00", "09": "250.00"}, {"27": "10.00"})
    ethiopia = Row("ETH", {"09": "3.00"}, {"41": "40.00", "84": "40.00"})
    known = world(india, ethiopia)
    sells, buys = known.complementarity("IND", "ETH", ON), known.complementarity("ETH", "IND", ON)
    assert (sells, buys) == (0.5, 0.0)
    assert trade(provider_to_need=sells, need_to_provider=buys) == 0.5
    assert michaely({"41": 0.75, "09": 0.25}, {"41": 0.5, "84": 0.5}) == 0.5
