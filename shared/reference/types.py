"""Value types of request and response models: strict about JSON types, each with a clear message.

Text is given back exactly as sent. Codes must exist. Money and quantities come as strings only.
All are checked the same in pydantic's lax and strict mode; instances (Decimal, date, datetime) are
accepted too, so models can be built in code. Rules: contract, sections 1 and 18.
"""

import re
import unicodedata
from collections.abc import Callable, Hashable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, LiteralString, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from shared.reference import blocs, classifications, countries, currencies, dates, languages

T = TypeVar("T")

TITLE_LENGTH, TEXT_LENGTH, SHORT_TEXT_LENGTH, LIST_LENGTH = 200, 5_000, 2_000, 50
URL_LENGTH, EMAIL_LENGTH = 2_000, 254


class Schema:
    """Gives a type the same JSON Schema for requests and responses."""

    def __init__(self, **members: Any) -> None:  # noqa: ANN401  (JSON)
        """Take the members of the schema."""
        self.members = members

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Replace whatever pydantic derived from validators and serialisers."""
        return dict(self.members)


# Text

_SURROGATE = re.compile("[\ud800-\udfff]")


def _well_formed(value: object) -> object:
    if isinstance(value, str) and "\x00" in value:
        raise PydanticCustomError("text_has_nul", "Must not contain the character NUL (U+0000)")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise PydanticCustomError("text_not_unicode", "Must not contain half of a surrogate pair")
    return value


def _visible(text: str) -> str:
    if not any(_shows(char) for char in text):
        raise PydanticCustomError("text_blank", "Must not be blank")
    return text


def _visible_or_empty(text: str) -> str:
    return _visible(text) if text else text


def _shows(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Zs", "Zl", "Zp"}


_Str = Annotated[str, Field(strict=True), BeforeValidator(_well_formed)]

Title = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=TITLE_LENGTH, examples=["Cut chrome discharge of tanneries"]),
    BeforeValidator(_well_formed),
    AfterValidator(_visible),
]
"""1 to 200 characters, not blank."""

Text = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=TEXT_LENGTH),
    BeforeValidator(_well_formed),
    AfterValidator(_visible),
]
"""1 to 5,000 characters, not blank."""

ShortText = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=SHORT_TEXT_LENGTH),
    BeforeValidator(_well_formed),
    AfterValidator(_visible),
]
"""1 to 2,000 characters, not blank."""

OptionalText = Annotated[
    str,
    Field(strict=True, max_length=TEXT_LENGTH),
    BeforeValidator(_well_formed),
    AfterValidator(_visible_or_empty),
]
"""Up to 5,000 characters, may be empty, but not blank otherwise."""


# Codes


def _known(exists: Callable[[str], bool], code: LiteralString, message: LiteralString) -> AfterValidator:
    def check(value: str) -> str:
        if not exists(value):
            raise PydanticCustomError(code, message)
        return value

    return AfterValidator(check)


CountryCode = Annotated[
    _Str,
    _known(countries.is_country, "country_unknown", "Must be a country code of ISO 3166-1 alpha-3, such as ETH"),
    Field(examples=["ETH"]),
]
CurrencyCode = Annotated[
    _Str,
    _known(currencies.is_currency, "currency_unknown", "Must be a currency code of ISO 4217, such as USD"),
    Field(examples=["USD"]),
]
LanguageCode = Annotated[
    _Str,
    _known(languages.is_language, "language_unknown", "Must be a language code of ISO 639-1, such as en"),
    Field(examples=["en"]),
]
IsicCode = Annotated[
    _Str,
    _known(
        classifications.is_isic,
        "isic_unknown",
        "Must be a section letter or a code of 2 to 4 digits of ISIC Rev.4, such as 1511",
    ),
    Field(examples=["1511"]),
]
HsCode = Annotated[
    _Str,
    _known(classifications.is_hs, "hs_unknown", "Must be a code of 2, 4 or 6 digits of HS 2022, such as 4107"),
    Field(examples=["4107"]),
]
SdgCode = Annotated[
    _Str,
    _known(classifications.is_sdg, "sdg_unknown", "Must be a goal or target of the 2030 Agenda, such as 9 or 9.2"),
    Field(examples=["9.2"]),
]
BlocCode = Annotated[
    _Str,
    _known(blocs.is_bloc, "bloc_unknown", "Must be a bloc of the reference list, such as ECOWAS"),
    Field(examples=["ECOWAS"]),
]


# Lists


def _no_duplicates(items: list[T]) -> list[T]:
    if len({item if isinstance(item, Hashable) else repr(item) for item in items}) < len(items):
        raise PydanticCustomError("duplicate_items", "Must not hold the same value twice")
    return items


UpTo50 = Annotated[list[T], Field(max_length=LIST_LENGTH)]
"""`UpTo50[Evidence]`: a list of at most 50."""

Codes = Annotated[
    list[T],
    Field(max_length=LIST_LENGTH, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_no_duplicates),
]
"""`Codes[IsicCode]`: a list of at most 50, none twice, may be empty."""

SomeCodes = Annotated[
    list[T],
    Field(min_length=1, max_length=LIST_LENGTH, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_no_duplicates),
]
"""`SomeCodes[IsicCode]`: a list of 1 to 50, none twice."""


# Addresses and sums


def _web_url(text: str) -> str:
    if not _is_web_url(text):
        raise PydanticCustomError("url_invalid", "Must be an address such as https://example.org/page")
    return text


def _is_web_url(text: str) -> bool:
    # urlsplit drops tabs and line ends, and browsers read a backslash as a slash: refuse both first
    if any(char.isspace() or not _shows(char) or char in '\\<>"`{}|^' for char in text):
        return False
    try:
        parts = urlsplit(text)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and port_ok


WebUrl = Annotated[
    str,
    Field(strict=True, max_length=URL_LENGTH, json_schema_extra={"format": "uri"}, examples=["https://example.org"]),
    BeforeValidator(_well_formed),
    AfterValidator(_web_url),
]
"""An http or https address without user name, kept as given, at most 2,000 characters."""

_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])"
)
_EMAIL_LOCAL_LENGTH = 64


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text) or text.index("@") > _EMAIL_LOCAL_LENGTH:
        raise PydanticCustomError("email_invalid", "Must be an e-mail address such as name@example.org")
    return text


Email = Annotated[
    str,
    Field(strict=True, max_length=EMAIL_LENGTH, json_schema_extra={"format": "email"}, examples=["me@example.org"]),
    BeforeValidator(_well_formed),
    AfterValidator(_email),
]
"""The common form name@host.domain in ASCII; kept as given."""

Sha256 = Annotated[
    str,
    Field(strict=True, pattern="^[0-9a-f]{64}$", examples=["9f86d081884c7d65" + "0" * 48]),
    BeforeValidator(_well_formed),
]
"""64 lower-case hexadecimal digits."""


# Time


def _day(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and len(value) == len("2026-11-24"):
        try:
            return dates.first_day(value)
        except ValueError:
            pass
    raise PydanticCustomError("date_invalid", "Must be a day of the calendar written YYYY-MM-DD")


Day = Annotated[date, BeforeValidator(_day), Schema(type="string", format="date", examples=["2026-11-24"])]
"""A date, from `YYYY-MM-DD` only, years 1900 to 2999."""


def _partial_date(text: str) -> str:
    try:
        dates.first_day(text)
    except ValueError:
        raise PydanticCustomError(
            "date_invalid", "Must be a day, month or year of the calendar: YYYY-MM-DD, YYYY-MM or YYYY"
        ) from None
    return text


PartialDate = Annotated[
    _Str,
    AfterValidator(_partial_date),
    Field(json_schema_extra={"pattern": "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"}, examples=["2007-01"]),
]
"""A string `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, kept as given; `dates.first_day` reads it."""

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _utc(value: object) -> object:
    try:
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC)
        if isinstance(value, str):
            return _from_rfc3339(value)
    except (ValueError, OverflowError):
        pass
    raise PydanticCustomError("time_invalid", "Must be a time of RFC 3339, such as 2026-11-24T09:00:00Z")


def _from_rfc3339(text: str) -> datetime:
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError("not RFC 3339")
    day, clock, fraction, offset = found.groups()
    dates.first_day(day)
    micros = (fraction or "").ljust(6, "0")[:6]
    zone = "+00:00" if offset in "Zz" else offset
    return datetime.fromisoformat(f"{day}T{clock}.{micros}{zone}").astimezone(UTC)


def utc_text(time: datetime) -> str:
    """Write an aware time as the API does: UTC, `Z`, milliseconds (cut, not rounded) unless zero."""
    moment = time.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds").removesuffix(".000") + "Z"


UtcDateTime = Annotated[
    datetime,
    BeforeValidator(_utc),
    PlainSerializer(utc_text, return_type=str, when_used="json"),
    Schema(type="string", format="date-time", examples=["2026-11-24T09:00:00Z"]),
]
"""An aware time in UTC, from an RFC 3339 string with an offset."""


# Amounts

_QUANTITY = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,3})?")
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,2})?")
_QUANTITY_DIGITS = 12
_QUANTITY_STEP, _AMOUNT_STEP = Decimal("0.001"), Decimal("0.01")
_QUANTITY_LIMIT, _AMOUNT_LIMIT = Decimal(10) ** 12, Decimal(10) ** 15


def _quantity(value: object) -> Decimal:
    number = _decimal(value, _QUANTITY, _QUANTITY_STEP, _QUANTITY_LIMIT)
    if number is None or _digits(number) > _QUANTITY_DIGITS:
        raise PydanticCustomError(
            "quantity_invalid",
            'Must be a string with a plain decimal number, such as "120" or "2.5": '
            "at most 12 digits, 3 of them decimals",
        )
    if not number:
        raise PydanticCustomError("quantity_not_positive", "Must be more than 0")
    return number


def _amount(value: object) -> Decimal:
    number = _decimal(value, _AMOUNT, _AMOUNT_STEP, _AMOUNT_LIMIT)
    if number is None:
        raise PydanticCustomError(
            "amount_invalid",
            'Must be a string with a plain decimal number, such as "250000.00": '
            "at most 15 digits before the point and 2 decimals",
        )
    return number


def _decimal(value: object, form: re.Pattern[str], step: Decimal, limit: Decimal) -> Decimal | None:
    """Read a string of the form; of a Decimal made in code only the digits that matter are counted."""
    if isinstance(value, str):
        return Decimal(value) if form.fullmatch(value) else None
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value < limit:
        return None
    return Decimal(quantity_text(value)) if value == value.quantize(step) else None


def _digits(number: Decimal) -> int:
    return len(format(number, "f").replace(".", "").lstrip("0"))


def quantity_text(number: Decimal) -> str:
    """Write a number plainly, without exponent and trailing zeros: `"120"`, `"2.5"`, `"0"`."""
    return format(number.normalize(), "f")


Quantity = Annotated[
    Decimal,
    BeforeValidator(_quantity),
    PlainSerializer(quantity_text, return_type=str, when_used="json"),
    Schema(type="string", pattern=r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,3})?$", examples=["120", "2.5"]),
]
"""More than 0, from a string such as `"2.5"`; written without trailing zeros. JSON numbers are refused."""

Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    Schema(type="string", pattern=r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,2})?$", examples=["250000.00"]),
]
"""The number of a sum of money, 0 or more; the decimals of its currency are checked by `Money`."""


_DOLLARS = re.compile(r"[0-9]+(?:\.[0-9]{1,6})?")
_CENTS = 2


def _dollars(value: object) -> Decimal:
    text = format(value, "f") if isinstance(value, Decimal) else value
    if not isinstance(text, str) or not _DOLLARS.fullmatch(text):
        raise PydanticCustomError(
            "amount_invalid",
            'Must be a string with a plain decimal number, 0 or more, such as "250000.00": at most 6 decimals',
        )
    return Decimal(text)


def dollars_text(number: Decimal) -> str:
    """Write US dollars with their cents, and with more decimals where these were stated: `"120.00"`, `"0.125"`."""
    return f"{number:.{max(_CENTS, _decimals_of(number.normalize()))}f}"


TradeValue = Annotated[
    Decimal,
    BeforeValidator(_dollars),
    PlainSerializer(dollars_text, return_type=str, when_used="json"),
    Schema(type="string", pattern=r"^[0-9]+(\.[0-9]{1,6})?$", examples=["250000.00"]),
]
"""US dollars of trade statistics, 0 or more. Sums of a country: larger, and as exact as sources state them."""


class MoneyOrZero(BaseModel):
    """A sum of money, 0 or more: `{"amount": "250000.00", "currency": "USD"}`.

    `amount` comes as a string only and is written with exactly the currency's decimals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Amount
    currency: CurrencyCode

    @model_validator(mode="after")
    def _check_amount(self) -> "MoneyOrZero":
        if _decimals_of(self.amount) > currencies.decimals(self.currency):
            raise _at_amount(self, "amount_too_precise", "Has more decimals than its currency")
        return self

    @field_serializer("amount", when_used="json")
    def _write_amount(self, amount: Decimal) -> str:
        return amount_text(amount, self.currency)


class Money(MoneyOrZero):
    """A sum of money, more than 0: `{"amount": "250000.00", "currency": "USD"}`."""

    @model_validator(mode="after")
    def _check_positive(self) -> "Money":
        if not self.amount:
            raise _at_amount(self, "amount_not_positive", "Must be more than 0")
        return self


def amount_text(amount: Decimal, currency: str) -> str:
    """Write an amount with exactly its currency's decimals: `"1000.00"` in USD, `"1000"` in JPY."""
    return f"{amount:.{currencies.decimals(currency)}f}"


def _decimals_of(number: Decimal) -> int:
    return max(0, -int(number.as_tuple().exponent))


def _at_amount(money: MoneyOrZero, code: LiteralString, message: LiteralString) -> ValidationError:
    # a model's own check would point at the model, the client wants the member
    fault = PydanticCustomError(code, message)
    detail = InitErrorDetails(type=fault, loc=("amount",), input=str(money.amount))
    return ValidationError.from_exception_data("Money", [detail])
