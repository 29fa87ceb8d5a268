"""What one document says: its bytes as text, its title, and the beginning of its body."""

from __future__ import annotations

import codecs
import re
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import NamedTuple

LONGEST_TITLE = 120
LONGEST_SNIPPET = 160

MAIL = {"from", "to", "subject", "date", "message-id", "newsgroups", "received", "return-path", "path", "sender"}
"""Fields of which a mail has two at least, and other texts that begin with ``Word: ...`` have not."""

FIELD = re.compile(r"([!-9;-~]+):(.*)")

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""How a text file may begin, and the encoding that tells."""

CONTROLS = bytes({*range(1, 7), *range(16, 32)} - {26, 27})
"""Control codes that texts have no use for: not those that space, ring, overstrike, or switch between alphabets."""

MOST_CONTROLS = 0.03
"""The share of such codes above which a file that is not UTF-8 is no text; bytes drawn at random have 8 %."""

UNDEFINED = re.compile(b"[\x81\x8d\x8f\x90\x9d]")
"""Bytes that Windows-1252 has no letter for."""


class Message(NamedTuple):
    """One document.

    Attributes
    ----------
    text : all that words are learnt from: of a mail its subject and body, otherwise everything.
    title : the subject of a mail, otherwise the first line; at most 120 characters.
    snippet : the first 160 characters of what comes after the title; of the text where nothing does.
    mail : whether it began with mail headers.
    """

    text: str
    title: str
    snippet: str
    mail: bool


def message(text: str, title: str = "") -> Message:
    """Tell a text's title from its body; headers of mails and news (RFC 822) but the subject are left out.

    Parameters
    ----------
    text : of one document.
    title : where it stands apart: it is then a part of the text, as the subject of a mail is.

    Examples
    --------
    >>> message("From: a@b.c\\nSubject: Re: moon\\nLines: 1\\n\\nIt  is\\nfar.")
    Message(text='Re: moon\\n\\nIt  is\\nfar.', title='Re: moon', snippet='It is far.', mail=True)
    >>> message("The moon\\nIt is far.")
    Message(text='The moon\\nIt is far.', title='The moon', snippet='It is far.', mail=False)
    """
    fields, body = mail_fields(text)
    title = title.strip() or subject(fields.get("subject", ""))
    if title:
        return Message(f"{title}\n\n{body}", folded(title, LONGEST_TITLE), folded(body, LONGEST_SNIPPET), bool(fields))
    first, _, rest = body.lstrip().partition("\n")
    snippet = folded(rest, LONGEST_SNIPPET) or folded(first, LONGEST_SNIPPET)
    return Message(body, folded(first, LONGEST_TITLE), snippet, bool(fields))


def mail_fields(text: str) -> tuple[dict[str, str], str]:
    """The header fields of a mail, their names in lower case, and its body; no fields and the text if it is none."""
    head, _, body = text.lstrip("\n").partition("\n\n")
    fields: dict[str, str] = {}
    last = ""
    for i, line in enumerate(head.split("\n")):
        found = FIELD.match(line)
        if line[:1] in (" ", "\t") and last:
            fields[last] += " " + line.strip()  # a long field goes on in lines that begin with a space
        elif found:
            last = found[1].lower()
            fields[last] = found[2].strip()
        elif i or not line.startswith("From "):  # the line by which mailboxes part their mails
            return {}, text
    return (fields, body) if len(fields.keys() & MAIL) >= 2 else ({}, text)


def subject(value: str) -> str:
    """A subject with its encoded words decoded, where they can be.

    >>> subject("=?utf-8?q?Caf=C3=A9?= today"), subject("=?no-such?q?x?=")
    ('Café today', '=?no-such?q?x?=')
    """
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        return value


def folded(text: str, most: int) -> str:
    """The beginning of a text in one line, at most so many characters.

    >>> folded("  one\\ntwo   three", 9), folded("one two", 9)
    ('one two …', 'one two')
    """
    # Eight times as much holds enough letters even where half of it is spaces, and books stay cheap.
    line = " ".join(text.lstrip()[: 8 * most].split())
    if len(line) <= most:
        return line
    whole = line[: most - 1].rpartition(" ")[0]
    # What is written without spaces is cut anywhere.
    return f"{whole} …" if len(whole) > most // 2 else f"{line[: most - 1]}…"


def decoded(raw: bytes) -> tuple[str, str]:
    """Bytes as text, and the encoding; lines end with a line feed alone. No byte is refused.

    UTF-8 (or UTF-16 with its mark), otherwise Windows-1252, or Latin-1 where that has no such letter. Where more
    letters of several bytes are right in UTF-8 than wrong, it is UTF-8 that is damaged: its wrong bytes become ``�``.

    Examples
    --------
    >>> decoded("né".encode()), decoded("né".encode("latin-1")), decoded("né né".encode() + bytes([255]))
    (('né', 'utf-8'), ('né', 'cp1252'), ('né né�', 'utf-8'))
    """
    encoding = next((name for mark, name in MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode(encoding, "replace")
        wrong = text.count("\ufffd")
        right = len(text) - len(text.encode("ascii", "ignore")) - wrong
        if encoding == "utf-8" and wrong >= right:
            encoding = "latin-1" if UNDEFINED.search(raw) else "cp1252"
            text = raw.decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def is_binary(raw: bytes) -> bool:
    """Whether bytes are no text: they hold a zero and do not begin as UTF-16 does, or are not UTF-8 and hold many
    control codes.

    A single control code that went astray makes no text binary, nor do many where all is right in UTF-8: some drew
    frames and faces with them.

    >>> is_binary(b"one\\0two"), is_binary(b"\\x01\\x02\\xfe"), is_binary(b"\\x01\\x02"), is_binary(b"caf\\xe9\\x01")
    (True, True, False, False)
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    if b"\0" in raw:
        return True
    controls = len(raw) - len(raw.translate(None, CONTROLS))
    if controls <= max(1, MOST_CONTROLS * len(raw)):
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False
