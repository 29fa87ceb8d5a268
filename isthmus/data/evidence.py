"""What the name of a column and the look of its text tell: identifiers, codes, free text, numbers kept as text."""

from __future__ import annotations

import re
from typing import Any

from isthmus.data.arrays import numeric_text

ID_WORDS = frozenset({
    "id", "ids", "uuid", "guid", "identifier", "hash", "key", "rowid", "index", "idx", "rownum", "rownumber",
    "serial", "ssn", "isbn", "iban", "email",
})  # fmt: skip
ID_OWNERS = frozenset({
    "user", "customer", "client", "order", "product", "item", "session", "record", "patient", "person",
    "passenger", "account", "device", "transaction", "event", "article", "member", "employee", "student",
    "invoice", "message", "object", "sample", "subject", "ticket", "visit",
})  # fmt: skip
CODE_WORDS = frozenset({
    "zip", "zipcode", "zips", "postcode", "postal", "postalcode", "plz", "code", "codes", "type", "category",
    "cat", "class", "group", "cluster", "label", "status", "region", "district", "county", "state", "country",
    "branch", "store", "shop", "dept", "department", "sector", "segment", "kind",
})  # fmt: skip
AMOUNT_WORDS = frozenset({
    "size", "sizes", "count", "counts", "number", "amount", "share", "rate", "score", "age", "price", "total",
    "sum", "mean", "length", "width", "height", "area", "volume",
})  # fmt: skip
TIME_WORDS = frozenset({
    "year", "month", "week", "day", "hour", "minute", "second", "time", "step", "date", "epoch", "quarter",
    "period", "age",
})  # fmt: skip

HASH = r"^(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{16,128})$"

SAMPLE = 1_000


def words_of(name: str) -> list[str]:
    """The words of a column's name, in small letters.

    >>> words_of("PassengerId"), words_of("zip_code"), words_of("home.postcode2")
    (['passenger', 'id'], ['zip', 'code'], ['home', 'postcode'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+", name)]


def names_rows(name: str) -> bool:
    """Whether a column is called an identifier.

    >>> names_rows("user_id"), names_rows("customerid"), names_rows("humid"), names_rows("OrderID")
    (True, True, False, True)
    """
    words = words_of(name)
    return any(word in ID_WORDS for word in words) or any(
        word.endswith(("id", "ids")) and word.removesuffix("s").removesuffix("id") in ID_OWNERS for word in words
    )


def names_codes(name: str) -> bool:
    """Whether the numbers of a column are called names of things rather than amounts.

    >>> names_codes("zip_code"), names_codes("group_size"), names_codes("income")
    (True, False, False)
    """
    words = set(words_of(name))
    return names_rows(name) or bool(words & CODE_WORDS and not words & AMOUNT_WORDS)


def names_time(name: str) -> bool:
    """Whether a column is called a time, which may well count up by one."""
    return any(word in TIME_WORDS for word in words_of(name))


def looks_hashed(texts: Any) -> bool:
    """Whether nearly all of some distinct texts are UUIDs or hashes."""
    import pyarrow.compute as pc

    few = texts.slice(0, SAMPLE)
    share = pc.mean(pc.match_substring_regex(few, HASH)).as_py()
    return share is not None and share >= 0.95


def numbers_as_text(texts: Any) -> bool:
    """Whether nearly all of some distinct texts look like numbers, none of them a code with zeros before it.

    >>> import pyarrow as pa
    >>> numbers_as_text(pa.array(["1,200", "$5", "7"])), numbers_as_text(pa.array(["02139", "10001"]))
    (True, False)
    """
    few = texts.slice(0, SAMPLE).to_pylist()
    if not few or any(re.match(r"0\d", text) for text in few):
        return False
    return sum(bool(numeric_text(text)) for text in few) >= 0.95 * len(few)
