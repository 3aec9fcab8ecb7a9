"""The one escaping function: whatever a person reads passes through it.

Project names, versions, yank reasons, exception messages and file names come from strangers. Raw, an ESC
repaints the terminal, a bidi override shows other text than there is (CVE-2021-42574), a newline forges a
line of a log.
"""

_WRITTEN_SHORT = {"\n": "\\n", "\r": "\\r", "\t": " "}


def printable(text: str, *, newlines: bool = False) -> str:
    r"""Return the text with everything invisible made visible; printable text comes back as it is.

    Escaped are all characters that `str.isprintable` refuses (controls, bidi and zero-width formatting, line
    and paragraph separators, lone surrogates, private and unassigned ones), but not the spaces among them,
    which only look like spaces. A tab becomes a space. With `newlines`, line ends stay.

    >>> print(printable("red \x1b[31m, evil \u202e, next\nline"))
    red \x1b[31m, evil \u202e, next\nline
    >>> printable("two\r\nlines\t!", newlines=True)
    'two\nlines !'
    """
    if text.isprintable():
        return text
    if newlines:
        return "\n".join(printable(line) for line in text.replace("\r\n", "\n").split("\n"))
    return "".join(
        character if character.isprintable() or _is_space(character) else _escape(character) for character in text
    )


def _is_space(character: str) -> bool:
    """Return whether a character is of category Zs: of what Python calls spaces, those that aren't controls or line
    separators.
    """
    return character.isspace() and character > "\x9f" and character not in "\u2028\u2029"


def _escape(character: str) -> str:
    if character in _WRITTEN_SHORT:
        return _WRITTEN_SHORT[character]
    point = ord(character)
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
