"""Reference data and value types: dated lists, codes, and what a hostile client may send."""

import csv
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from shared.reference import (
    blocs,
    centres,
    classifications,
    countries,
    currencies,
    dates,
    languages,
    types,
    vocabulary,
)
from shared.reference.load import DATA, rows
from shared.reference.vocabulary import CentreKind, CentreStatus

TODAY = date(2026, 11, 25)
DAYS = st.dates(date(1900, 1, 1), date(2999, 12, 31))


def accepts(kind: Any, value: object) -> bool:
    """Say the same of a Python value in lax and strict mode."""
    verdicts = {_valid(kind, value, strict=None), _valid(kind, value, strict=True)}
    assert len(verdicts) == 1, f"lax and strict differ on {value!r}"
    return verdicts.pop()


def _valid(kind: Any, value: object, *, strict: bool | None) -> bool:
    try:
        TypeAdapter(kind).validate_python(value, strict=strict)
    except ValidationError:
        return False
    return True


def fault(kind: Any, value: object) -> tuple[tuple[int | str, ...], str]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    first = caught.value.errors()[0]
    return first["loc"], first["type"]


# Countries


@pytest.mark.parametrize(
    ("day", "count"),
    [
        ("1971-11-18", 24),
        ("2017-06-03", 48),
        ("2017-06-04", 47),
        ("2020-12-03", 47),
        ("2020-12-04", 46),
        ("2023-12-12", 46),
        ("2023-12-13", 45),
        ("2024-12-12", 45),
        ("2024-12-13", 44),
        ("2026-11-23", 44),
        ("2026-11-24", 44),
        ("2026-11-25", 44),
    ],
)
def test_number_of_least_developed_countries_on_a_day(day: str, count: int) -> None:
    assert len(countries.members_of("ldc", date.fromisoformat(day))) == count


def test_other_group_counts() -> None:
    assert len(countries.members_of("lldc", TODAY)) == 32
    assert len(countries.members_of("sids", TODAY)) == 39


def test_a_scheduled_end_changes_nothing_until_confirmed() -> None:
    assert countries.groups("BGD", TODAY) == {"ldc"}
    expected = countries.ScheduledChange("ldc", date(2026, 11, 24), "A/RES/76/8", confirmed=False, precision="day")
    assert countries.scheduled("BGD", TODAY) == [expected]
    assert countries.scheduled("BGD", date(2026, 11, 1)) == [expected]


def test_a_confirmed_end_takes_effect_on_its_day() -> None:
    confirmed = {("BGD", "ldc"): date(2026, 11, 24)}
    before, on = date(2026, 11, 23), date(2026, 11, 24)
    assert countries.groups("BGD", before, confirmed) == {"ldc"}
    assert [change.confirmed for change in countries.scheduled("BGD", before, confirmed)] == [True]
    assert countries.groups("BGD", on, confirmed) == frozenset()
    assert countries.scheduled("BGD", on, confirmed) == []
    assert len(countries.members_of("ldc", on, confirmed)) == 43


def test_an_end_may_be_amended_or_called_off() -> None:
    later = {("BGD", "ldc"): date(2029, 11, 24)}
    assert countries.groups("BGD", date(2029, 11, 23), later) == {"ldc"}
    assert [change.leaves_on for change in countries.scheduled("BGD", TODAY, later)] == [date(2029, 11, 24)]
    off: countries.Confirmations = {("BGD", "ldc"): None}
    assert countries.groups("BGD", date(2035, 1, 1), off) == {"ldc"}
    assert countries.scheduled("BGD", TODAY, off) == []


def test_all_scheduled_ends_applied_leave_41_on_their_day() -> None:
    confirmed = {(row.country, row.status): row.valid_to for row in countries.scheduled_rows()}
    assert {row.country for row in countries.scheduled_rows()} == {"BGD", "KHM", "LAO", "NPL", "SEN", "SLB"}
    assert len(countries.members_of("ldc", date(2026, 11, 24), confirmed)) == 41


def test_a_deferred_graduation_is_in_force_and_not_scheduled() -> None:
    assert "ldc" in countries.groups("AGO", TODAY)
    assert countries.scheduled("AGO", TODAY) == []


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("ETH", "2011-07-13", {"ldc", "lldc"}),  # leather twinning
        ("ZMB", "2014-08-31", {"ldc", "lldc"}),  # RETT: only Zambia is an LDC
        ("GHA", "2014-08-31", set()),
        ("KEN", "2014-03-09", set()),  # SITA: 4 of 5
        ("TGO", "2014-01-01", {"ldc"}),
        ("BTN", "2023-12-13", {"lldc"}),  # countrygroups 0.13.0 still has it as LDC
        ("STP", "2024-12-13", {"sids"}),  # so do three packages
        ("COK", "2026-11-25", {"sids"}),  # countrygroups leaves it out
        ("NIU", "2026-11-25", {"sids"}),
        ("XXX", "2026-11-25", set()),
    ],
)
def test_groups_of_a_country(code: str, day: str, expected: set[str]) -> None:
    assert countries.groups(code, date.fromisoformat(day)) == expected


def test_south_is_dated() -> None:
    assert countries.is_south("KOR", date(2021, 7, 1))
    assert not countries.is_south("KOR", date(2021, 7, 2))
    assert all(countries.is_south(code, TODAY) for code in ("IND", "ETH", "BRA", "CHN", "SGP"))
    assert not any(countries.is_south(code, TODAY) for code in ("DEU", "JPN", "CYP", "MDA", "MKD", "XXX"))


def test_income_groups_are_dated() -> None:
    assert countries.income_group("ETH", date(2025, 6, 30)) == "low"
    assert countries.income_group("ETH", date(2025, 7, 1)) is None
    assert countries.income_group("VEN", TODAY) is None
    assert countries.income_group("IND", date(2023, 6, 30)) is None
    assert countries.income_group("KOR", TODAY) == "high"


def test_every_dated_row_has_a_source_and_a_known_country() -> None:
    for row in rows("country_status.csv"):
        assert row["source"]
        assert countries.is_country(row["country"])
    for tie in blocs.memberships():
        assert tie.source
        assert countries.is_country(tie.country)


def test_country_list() -> None:
    assert len(countries.countries()) == 249
    assert countries.country("ETH") == countries.Country("ETH", "ET", "Ethiopia")
    assert countries.country("LAO").name == "Lao People's Democratic Republic"
    assert not any(" & " in country.name or "St. " in country.name for country in countries.countries().values())


@given(DAYS, st.sampled_from(["BGD", "ETH", "STP", "KOR", "SEN", "DEU"]))
def test_a_country_is_in_a_group_exactly_when_the_group_lists_it(day: date, code: str) -> None:
    listed = {group for group in countries.Group if code in countries.members_of(group, day)}
    assert countries.groups(code, day) == listed


@given(DAYS, st.sampled_from(["ETH", "IND", "KEN", "VEN", "RUS"]))
def test_a_country_has_one_income_group_at_most(day: date, code: str) -> None:
    held = [row for row in countries.statuses(code, day) if row.status.startswith("income:")]
    assert len(held) <= 1


# Blocs


def test_niger_left_ecowas_on_its_day() -> None:
    assert "ECOWAS" in blocs.blocs_of("NER", date(2025, 1, 28))
    assert "ECOWAS" not in blocs.blocs_of("NER", date(2025, 1, 29))
    assert len(blocs.members("ECOWAS", date(2025, 1, 29))) == 12


@pytest.mark.parametrize(
    ("bloc", "count"),
    [("AfCFTA", 48), ("G77", 134), ("OIC", 57), ("SADC", 16), ("CARICOM", 15), ("EAC", 8), ("IBSA", 3)],
)
def test_only_members_and_states_party_count(bloc: str, count: int) -> None:
    assert len(blocs.members(bloc, TODAY)) == count


def test_suspended_and_invited_states_are_no_members() -> None:
    assert "MERCOSUR" not in blocs.blocs_of("VEN", TODAY)
    assert "LAS" in blocs.blocs_of("EGY", TODAY)
    uncounted = {tie.kind for tie in blocs.memberships()} - blocs.COUNTED
    assert uncounted == {"signatory", "associate", "partner", "invited", "suspended"}


def test_every_bloc_has_a_name_and_members() -> None:
    assert {tie.bloc for tie in blocs.memberships()} == set(blocs.BLOCS)
    assert all(blocs.members(bloc, TODAY) for bloc in blocs.BLOCS)
    assert len(blocs.BLOCS) == 29


def test_unknown_country_and_bloc_have_no_members() -> None:
    assert blocs.blocs_of("XXX", TODAY) == frozenset()
    assert blocs.members("NATO", TODAY) == frozenset()


# Classifications


def test_size_of_the_classifications() -> None:
    depths = [classifications.isic_depth(code) for code in classifications.isic()]
    assert {depth: depths.count(depth) for depth in set(depths)} == {
        "section": 21,
        "division": 88,
        "group": 238,
        "class": 419,
    }
    assert len(classifications.hs_chapters()) == 96
    lengths = [len(code) for code in classifications.hs()]
    assert (lengths.count(2), lengths.count(4), lengths.count(6)) == (96, 1228, 5612)
    assert {code for code in classifications.hs() if len(code) == 2} == set(classifications.hs_chapters())
    assert len(classifications.sdg()) == 17 + 169


def test_isic_tree() -> None:
    assert classifications.isic_section_of("1511") == "C"
    assert classifications.isic_ancestors("1511") == ("151", "15", "C")
    assert classifications.isic_ancestors("C") == ()
    assert classifications.isic_title("1511").startswith("Tanning and dressing of leather")
    for code in classifications.isic():
        assert all(classifications.is_isic(wider) for wider in classifications.isic_ancestors(code))


@pytest.mark.parametrize(
    ("a", "b", "depth"),
    [
        ("1511", "1511", "class"),
        ("1511", "1512", "group"),
        ("1511", "1520", "division"),
        ("1511", "15", "division"),
        ("1511", "1311", "section"),
        ("1511", "C", "section"),
        ("C", "C", "section"),
        ("1511", "0111", None),
        ("0111", "A", "section"),
    ],
)
def test_common_depth(a: str, b: str, depth: str | None) -> None:
    assert classifications.common_depth(a, b) == depth
    assert classifications.common_depth(b, a) == depth


STORY_ISIC = (
    "01 0111 0112 0116 0141 0162 0322 10 1061 13 15 1511 1512 1520 2710 28 2811 35 3510 3811 3821 3830 4220 "
    "46 62 64 66 70 7110 72 75 85 8522 8530"
).split()
STORY_HS = ("0102 03 0511 0713 09 1006 1008 1102 1512 41 42 4707 52 5201 5203 62 64 7321 8410 8501 8504 8541").split()
STORY_SDG = (
    "1.1 11.6 12.4 12.5 16.1 17.11 17.12 17.3 17.6 17.7 17.9 2.3 2.4 2.a 4.3 4.4 7.1 7.2 7.a 7.b 8.2 8.5 8.6 "
    "8.a 9.1 9.2 9.3 9.5 9.b 9 9.4 1.4"
).split()


def test_every_code_of_the_real_stories_exists() -> None:
    assert all(accepts(types.IsicCode, code) for code in STORY_ISIC)
    assert all(accepts(types.HsCode, code) for code in STORY_HS)
    assert all(accepts(types.SdgCode, code) for code in STORY_SDG)


def test_sector_links_fall_back_to_the_wider_category() -> None:
    assert classifications.crs_of("1511") == ("32163",)
    assert classifications.hs_chapters_of("1511") == classifications.hs_chapters_of("15")
    assert {"41", "64"} <= set(classifications.hs_chapters_of("1511"))
    assert classifications.crs_of("2012") != classifications.crs_of("2011")
    assert classifications.crs_of("01")[0] == "31120"
    assert classifications.hs_chapters_of("6419") == ()
    assert classifications.sector_links("C") is None


def test_sector_links_use_existing_codes() -> None:
    for row in rows("isic_crs_hs.csv"):
        links = classifications.sector_links(row["isic"])
        assert links is not None
        assert row["crs"] in links.crs
        assert all(classifications.is_hs(chapter) for chapter in links.hs_chapters)


def test_labels() -> None:
    assert classifications.hs_label("4107") == "Raw hides and leather"
    assert classifications.sdg_goal_of("9.b") == classifications.sdg_goal_of("9") == "9"
    assert classifications.sdg_label("9")
    assert classifications.sdg_label("9.2")


# Languages and currencies


def test_languages() -> None:
    assert len(languages.languages()) == 183
    assert languages.languages()["am"] == "Amharic"
    assert not languages.is_language("sh")


@pytest.mark.parametrize(
    ("code", "decimals"),
    [("USD", 2), ("ETB", 2), ("JPY", 0), ("XOF", 0), ("XAF", 0), ("UGX", 0), ("RWF", 0), ("KWD", 2), ("TND", 2)],
)
def test_decimals_of_a_currency(code: str, decimals: int) -> None:
    assert currencies.decimals(code) == decimals


def test_what_is_no_currency_of_today() -> None:
    assert not any(currencies.is_currency(code) for code in ("XXX", "XTS", "XAU", "HRK", "BGN", "ZWL", "usd"))
    assert all(currencies.is_currency(code) for code in ("ZWG", "SLE", "XCG", "XDR"))


# Vocabulary


def test_reason_codes_need_a_text_only_with_other() -> None:
    lists = (
        vocabulary.MatchDeclineReason,
        vocabulary.WithdrawReason,
        vocabulary.SuspendReason,
        vocabulary.VerificationRejectReason,
        vocabulary.DisputeReason,
        vocabulary.WaiveReason,
        vocabulary.JustificationCode,
    )
    for reasons in lists:
        assert [reason for reason in reasons if vocabulary.needs_text(reason)] == ["other"]


def test_sizes_of_the_closed_lists() -> None:
    assert len(vocabulary.InstitutionType) == 11
    assert len(vocabulary.ResourceKind) == 8
    assert len(vocabulary.MatchDeclineReason) == 11
    assert len(vocabulary.MatchWithdrawReason) == 7
    assert len(vocabulary.VerificationQuestion) == 5


# Text


@pytest.mark.parametrize("kind", [types.Title, types.Text, types.ShortText, types.OptionalText])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a\x00b", "text_has_nul"),
        ("a\ud800b", "text_not_unicode"),
        ("\udfff", "text_not_unicode"),
        (5, "string_type"),
        (True, "string_type"),
        (None, "string_type"),
        (["a"], "string_type"),
        (b"a", "string_type"),
        ("x" * 5001, "string_too_long"),
    ],
)
def test_no_text_takes_these(kind: Any, value: object, why: str) -> None:
    assert not accepts(kind, value)
    assert fault(kind, value)[1] == why


@pytest.mark.parametrize("blank", [" ", "\t\r\n", "\u00a0\u2003", "\u200b\u200e", "\ufeff", "\x01"])
def test_blank_text_is_refused_where_text_is_needed(blank: str) -> None:
    assert fault(types.Title, blank)[1] == "text_blank"
    assert fault(types.Text, blank)[1] == "text_blank"
    assert fault(types.OptionalText, blank)[1] == "text_blank"


def test_optional_text_may_be_empty() -> None:
    assert accepts(types.OptionalText, "")
    assert not accepts(types.Text, "")


@pytest.mark.parametrize(
    ("kind", "longest"), [(types.Title, 200), (types.ShortText, 2000), (types.Text, 5000), (types.OptionalText, 5000)]
)
def test_length_is_counted_in_characters(kind: Any, longest: int) -> None:
    assert accepts(kind, "የ" * longest)
    assert accepts(kind, "𝒳" * longest)
    assert not accepts(kind, "x" * (longest + 1))


@given(st.text(min_size=1, max_size=200, alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_text_comes_back_as_sent(text: str) -> None:
    padded = f"  {text[:190]}x\n"
    assert TypeAdapter(types.Title).validate_python(padded) == padded


# Codes


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (types.CountryCode, ["ETH", "IND"], ["eth", "ET", "XKX", "", " ETH", "ETH ", 231, None, "ＥＴＨ"]),
        (types.CurrencyCode, ["USD", "XOF"], ["usd", "US", "XXX", "XTS", "BTC", 840]),
        (types.LanguageCode, ["en", "am"], ["EN", "eng", "xx", "", 1]),
        (types.IsicCode, ["C", "15", "151", "1511", "01"], ["c", "1", "CC", "1599", "15110", 1511, "١٥", "15\n", "Z"]),
        (types.HsCode, ["41", "4107", "410711"], ["4", "77", "99", "41071", "4100", "410799999", 4107, "٤١"]),
        (types.SdgCode, ["9", "9.2", "9.a", "17.19"], ["0", "18", "9.99", "9.A", "9.", "09", 9, 9.2, "9.2 "]),
        (types.BlocCode, ["ECOWAS", "Pacific Alliance", "D-8"], ["ecowas", "EU", "", 7]),
    ],
)
def test_codes_must_exist(kind: Any, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not accepts(kind, value)] == []
    assert [value for value in bad if accepts(kind, value)] == []


def test_lists_of_codes() -> None:
    assert accepts(types.Codes[types.IsicCode], [])
    assert not accepts(types.SomeCodes[types.IsicCode], [])
    assert fault(types.Codes[types.IsicCode], ["1511", "1511"])[1] == "duplicate_items"
    assert fault(types.Codes[types.IsicCode], ["1511", "x"])[0] == (1,)
    assert fault(types.Codes[types.Title], [str(n) for n in range(51)])[1] == "too_long"
    assert fault(types.Codes[types.Title], {"a": 1})[1] == "list_type"
    assert fault(types.Codes[types.Title], "abc")[1] == "list_type"
    assert accepts(types.UpTo50[types.Title], ["a", "a"])
    assert fault(types.Codes[types.Money], [{"amount": "1", "currency": "USD"}] * 2)[1] == "duplicate_items"


# Addresses


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://clri.example/report.pdf", True),
        ("http://127.0.0.1:8000/hooks?a=b#c", True),
        ("HTTPS://Example.org", True),
        ("https://лес.example/путь", True),
        ("https://[2001:db8::1]/", True),
        ("javascript:alert(1)", False),
        ("ftp://example.org/a", False),
        ("//example.org/a", False),
        ("https://", False),
        ("https:///path", False),
        ("https://user:secret@example.org/", False),
        ("https://example.org:99999/", False),
        ("https://example.org:x/", False),
        ("https://exa mple.org/", False),
        ("https://example.org/\n", False),
        ("https://example.org\\@evil.example/", False),
        ("https://[::1/", False),
        ('https://example.org/"><script>', False),
        ("https://example.org/" + "a" * 2000, False),
        (" https://example.org/", False),
        (5, False),
        ("", False),
    ],
)
def test_web_addresses(url: object, good: bool) -> None:
    assert accepts(types.WebUrl, url) is good


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("focal@lidi.example", True),
        ("first.last+tag@mail.lidi.example", True),
        ("o'neil@xn--bcher-kva.example", True),
        ("focal@localhost", False),
        ("focal@@lidi.example", False),
        ("focal@lidi..example", False),
        (".focal@lidi.example", False),
        ("focal@lidi.example\nBcc: x@y.example", False),
        ("Focal <focal@lidi.example>", False),
        ("focal@-lidi.example", False),
        ("a" * 65 + "@lidi.example", False),
        ("a@" + "b" * 63 + ".example" * 30, False),
        ("", False),
        (None, False),
    ],
)
def test_mail_addresses(address: object, good: bool) -> None:
    assert accepts(types.Email, address) is good


def test_a_long_hostile_mail_address_is_refused_quickly() -> None:
    assert not accepts(types.Email, "a" * 200_000 + "@" + "b." * 50_000)
    assert not accepts(types.Email, "a@" + "a-" * 120 + "!")


def test_sha256() -> None:
    assert accepts(types.Sha256, "9f" * 32)
    assert not any(accepts(types.Sha256, bad) for bad in ("9F" * 32, "9f" * 31, "9f" * 32 + "\n", "zz" * 32, 5))


# Time


@pytest.mark.parametrize(
    "bad",
    [
        "2026-02-30",
        "2025-02-29",
        "2026-1-01",
        "20260101",
        "2026-W01-1",
        "2026-01-01T00:00:00Z",
        "2026-01",
        "2026-01-01\n",
        "0001-01-01",
        "9999-12-31",
        "٢٠٢٦-٠١-٠١",
        "",
        20260101,
        1767225600,
        True,
        None,
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
)
def test_what_is_no_day(bad: object) -> None:
    assert not accepts(types.Day, bad)


@given(DAYS)
def test_a_day_round_trips(day: date) -> None:
    adapter = TypeAdapter(types.Day)
    assert adapter.validate_python(day.isoformat()) == day == adapter.validate_python(day)
    assert json.loads(adapter.dump_json(day)) == day.isoformat()


@pytest.mark.parametrize(
    ("text", "first", "precision"),
    [
        ("2007", date(2007, 1, 1), "year"),
        ("2007-02", date(2007, 2, 1), "month"),
        ("2024-02-29", date(2024, 2, 29), "day"),
    ],
)
def test_partial_dates(text: str, first: date, precision: str) -> None:
    assert TypeAdapter(types.PartialDate).validate_python(text) == text
    assert dates.first_day(text) == first
    assert dates.precision(text) == precision


@pytest.mark.parametrize("bad", ["2007-13", "2007-00", "2007-02-30", "07", "2007-1", "2007-", "1899", "", 2007, "٢٠٠٧"])
def test_what_is_no_partial_date(bad: object) -> None:
    assert not accepts(types.PartialDate, bad)


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("2026-11-24T09:00:00Z", "2026-11-24T09:00:00Z"),
        ("2026-11-24T09:00:00.120Z", "2026-11-24T09:00:00.120Z"),
        ("2026-11-24T09:00:00.123456789Z", "2026-11-24T09:00:00.123Z"),
        ("2026-11-24t12:00:00+03:00", "2026-11-24T09:00:00Z"),
        ("2026-11-24T00:00:00+05:45", "2026-11-23T18:15:00Z"),
    ],
)
def test_times_are_written_in_utc(sent: str, written: str) -> None:
    adapter = TypeAdapter(types.UtcDateTime)
    time = adapter.validate_python(sent)
    assert time.tzinfo is UTC
    assert json.loads(adapter.dump_json(time)) == written


@pytest.mark.parametrize(
    "bad",
    [
        "2026-11-24T09:00:00",
        "2026-11-24",
        "2026-11-24 09:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T09:00:60Z",
        "2026-11-24T09:00Z",
        "2026-11-24T09:00:00+99:00",
        "0001-01-01T00:00:00+01:00",
        "1767225600",
        1767225600,
        datetime(2026, 1, 1),  # noqa: DTZ001
        None,
    ],
)
def test_what_is_no_time(bad: object) -> None:
    assert not accepts(types.UtcDateTime, bad)


@given(st.datetimes(datetime(1900, 1, 2), datetime(2999, 12, 30)), st.integers(-840, 840))  # noqa: DTZ001
def test_a_time_round_trips_to_the_millisecond(time: datetime, offset_minutes: int) -> None:
    adapter = TypeAdapter(types.UtcDateTime)
    aware = time.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    again = adapter.validate_json(adapter.dump_json(adapter.validate_python(aware)))
    assert timedelta() <= aware - again < timedelta(milliseconds=1)


# Quantities and money

NO_NUMBERS: list[object] = [
    "1e5", "1E5", "NaN", "nan", "Infinity", "-Infinity", "-1", "-0.5", "+1", " 1", "1 ", "1\n", "1,000", "1_000",
    "0x10", "1.", ".5", "", "abc", "01", "00.5", "١٢", "１２", "1\x00", "½", 1, 1.5, 0, True, None, [], {},
    float("nan"), Decimal("NaN"), Decimal("Infinity"), Decimal(-1),
]  # fmt: skip


@pytest.mark.parametrize("bad", [*NO_NUMBERS, "0", "0.000", "1.2345", "1234567890123", "1234567890.123", Decimal(0)])
def test_what_is_no_quantity(bad: object) -> None:
    assert not accepts(types.Quantity, bad)


@pytest.mark.parametrize(
    ("sent", "written"),
    [("120", "120"), ("2.5", "2.5"), ("2.50", "2.5"), ("0.001", "0.001"), ("999999999999", "999999999999")],
)
def test_quantities_are_written_plainly(sent: str, written: str) -> None:
    adapter = TypeAdapter(types.Quantity)
    number = adapter.validate_python(sent)
    assert number == Decimal(sent)
    assert json.loads(adapter.dump_json(number)) == written


@given(st.decimals(min_value="0.001", max_value="999999999", places=3))
def test_a_quantity_round_trips(number: Decimal) -> None:
    adapter = TypeAdapter(types.Quantity)
    assert adapter.validate_python(number) == number
    assert adapter.validate_json(adapter.dump_json(number)) == number


@pytest.mark.parametrize(
    "bad", [*NO_NUMBERS, "1.234", "1234567890123456", "1" * 400, Decimal("1.234"), Decimal("1e20")]
)
def test_what_is_no_amount(bad: object) -> None:
    assert fault(types.Money, {"amount": bad, "currency": "USD"})[0] == ("amount",)
    assert not accepts(types.Money, {"amount": bad, "currency": "USD"})
    assert not accepts(types.MoneyOrZero, {"amount": bad, "currency": "USD"})


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        ("250000.00", "USD", "250000.00"),
        ("250000", "USD", "250000.00"),
        ("0.5", "USD", "0.50"),
        ("1000", "JPY", "1000"),
        ("5.25", "KWD", "5.25"),
        ("999999999999999.99", "IDR", "999999999999999.99"),
    ],
)
def test_money_is_written_with_the_decimals_of_its_currency(amount: str, currency: str, written: str) -> None:
    money = types.Money.model_validate({"amount": amount, "currency": currency})
    assert money.amount == Decimal(amount)
    assert money.model_dump(mode="json") == {"amount": written, "currency": currency}
    assert types.Money.model_validate_json(money.model_dump_json()) == money


@pytest.mark.parametrize("amount", ["1000.00", "1000.5", "1000.0"])
def test_yen_have_no_decimals(amount: str) -> None:
    assert fault(types.Money, {"amount": amount, "currency": "JPY"}) == (("amount",), "amount_too_precise")


def test_zero_is_no_money_but_may_be_a_total() -> None:
    nothing = {"amount": "0.00", "currency": "USD"}
    assert fault(types.Money, nothing) == (("amount",), "amount_not_positive")
    assert types.MoneyOrZero.model_validate(nothing).model_dump(mode="json") == nothing


def test_faults_in_money_name_the_member() -> None:
    class Budget(BaseModel):
        budget: types.Money | None

    assert fault(Budget, {"budget": {"amount": 5, "currency": "USD"}})[0] == ("budget", "amount")
    assert fault(Budget, {"budget": {"amount": "5.5", "currency": "JPY"}})[0] == ("budget", "amount")
    assert fault(Budget, {"budget": {"amount": "5", "currency": "XXX"}})[0] == ("budget", "currency")
    assert fault(Budget, {"budget": {"amount": "5"}})[0] == ("budget", "currency")
    assert fault(Budget, {"budget": {"amount": "5", "currency": "USD", "x": 1}})[0] == ("budget", "x")


def test_money_is_a_frozen_value() -> None:
    money = types.Money(amount=Decimal(5), currency="USD")
    with pytest.raises(ValidationError):
        money.currency = "EUR"
    assert len({money, types.Money(amount=Decimal("5.00"), currency="USD")}) == 1


def test_money_read_from_a_numeric_column_may_have_trailing_zeros() -> None:
    assert types.Money(amount=Decimal("1000.00"), currency="JPY").model_dump(mode="json")["amount"] == "1000"
    assert fault(types.Money, {"amount": Decimal("1000.50"), "currency": "JPY"})[1] == "amount_too_precise"


@given(
    st.decimals(min_value="0.01", max_value="999999999999999.99", places=2),
    st.sampled_from(["USD", "ETB", "KWD", "XDR"]),
)
def test_money_round_trips(amount: Decimal, currency: str) -> None:
    money = types.Money(amount=amount, currency=currency)
    assert types.Money.model_validate(money.model_dump()) == money
    assert types.Money.model_validate(money.model_dump(mode="json")) == money


class Everything(BaseModel):
    """One member of each type."""

    model_config = ConfigDict(extra="forbid")

    country: types.CountryCode
    isic: types.SomeCodes[types.IsicCode]
    title: types.Title
    website: types.WebUrl
    email: types.Email
    quantity: types.Quantity
    budget: types.Money | None
    since: types.PartialDate
    deadline: types.Day
    at: types.UtcDateTime
    kind: vocabulary.ResourceKind


EXAMPLE = {
    "country": "ETH",
    "isic": ["1511"],
    "title": " Cut chrome discharge ",
    "website": "https://lidi.example",
    "email": "focal@lidi.example",
    "quantity": "2.5",
    "budget": {"amount": "450000.00", "currency": "USD"},
    "since": "2007-01",
    "deadline": "2027-01-31",
    "at": "2026-11-24T09:20:00.005Z",
    "kind": "technical",
}


def test_a_model_of_all_types_round_trips() -> None:
    model = Everything.model_validate(EXAMPLE)
    assert model.model_dump(mode="json") == EXAMPLE
    assert Everything.model_validate(model.model_dump(), strict=True) == model
    assert Everything.model_validate_json(json.dumps(EXAMPLE), strict=True) == model


def test_request_and_response_have_one_schema() -> None:
    request = Everything.model_json_schema(mode="validation")
    assert request == Everything.model_json_schema(mode="serialization")
    members = request["properties"]
    assert members["title"]["maxLength"] == 200
    assert members["isic"] | {"title": ""} == {
        "type": "array",
        "items": {"type": "string", "examples": ["1511"]},
        "minItems": 1,
        "maxItems": 50,
        "uniqueItems": True,
        "title": "",
    }
    assert members["quantity"]["type"] == "string"
    assert members["deadline"]["format"] == "date"
    assert members["at"]["format"] == "date-time"


# Centres

LIFE = {
    None: {*CentreStatus},
    CentreStatus.ENVISIONED: {CentreStatus.UNDER_NEGOTIATION},
    CentreStatus.UNDER_NEGOTIATION: {CentreStatus.TO_BE_ESTABLISHED},
    CentreStatus.TO_BE_ESTABLISHED: {CentreStatus.OPERATING},
    CentreStatus.OPERATING: {CentreStatus.HANDED_OVER, CentreStatus.CLOSED, CentreStatus.SUSPENDED},
}


def test_the_five_industrial_cooperation_centres() -> None:
    kind = CentreKind.SOUTH_SOUTH_INDUSTRIAL_COOPERATION
    found = {seed.host_country: seed for seed in centres.centres() if seed.kind == kind}
    assert {country: seed.current.status for country, seed in found.items()} == {
        "IND": "operating",
        "CHN": "to_be_established",
        "EGY": "under_negotiation",
        "BRA": "envisioned",
        "ZAF": "envisioned",
    }
    assert found["IND"].current.since == "2007-01"
    assert "February 2007" in found["IND"].current.note


def test_every_history_follows_the_lifecycle_and_the_calendar() -> None:
    for seed in centres.centres():
        before = None
        for step in seed.history:
            assert step.status in LIFE[before], seed.name
            before = step.status
        days = [dates.first_day(step.since) for step in seed.history]
        assert days == sorted(days)
        assert countries.is_country(seed.host_country)
        assert all(classifications.is_isic(code) for code in seed.focus_isic)


def test_every_seed_rests_on_the_evidence() -> None:
    evidence = {(row["centre"], row["status"], row["source"]): row["date"] for row in rows("centres.csv")}
    for row in rows("centre_seeds.csv"):
        assert evidence[row["centre"], row["status"], row["source"]].startswith(row["since"])


def test_ids_of_seeds_are_stable_uuid_v7() -> None:
    ids = [seed.id for seed in centres.centres()]
    assert len(set(ids)) == len(ids) == 11
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert str(ids[0]) == "019b76da-a800-71a4-b5f3-dff2e633dd05"


# The package


def test_data_files_have_columns_and_no_carriage_returns() -> None:
    for path in DATA.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        assert "\r" not in text
        widths = {len(row) for row in csv.reader(text.splitlines())}
        assert len(widths) == 1, path.name


def test_domain_code_gets_no_third_party_package() -> None:
    names = "blocs centres classifications countries currencies dates languages vocabulary".split()
    imports = "; ".join(f"import shared.reference.{name}" for name in names)
    check = f"import sys; {imports}; assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
