"""Languages: ISO 639-1, English names of the Unicode CLDR (`data/README.md`)."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from shared.reference.load import rows


@cache
def languages() -> Mapping[str, str]:
    """Give all languages, code (`"am"`) to English name (`"Amharic"`)."""
    return MappingProxyType({row["code"]: row["name"] for row in rows("languages.csv")})


def is_language(code: str) -> bool:
    """Tell whether it is a code of ISO 639-1, lower case."""
    return code in languages()
