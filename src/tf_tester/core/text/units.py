"""Units as people write them: durations, sizes of memory, sizes of stores."""

import re
from datetime import timedelta

# Patterns are compiled when they are first used, and kept by `re`: most runs are given no units.
_DURATION = (
    r"(?a)(?:(?P<weeks>\d{1,6})w)?(?:(?P<days>\d{1,6})d)?(?:(?P<hours>\d{1,9})h)?"
    r"(?:(?P<minutes>\d{1,9})m(?:in)?)?(?:(?P<seconds>\d{1,9})s)?"
)
_SIZE = r"(?ai)(\d{1,13}(?:\.\d{1,6})?) ?([KMGT])(?:i?B)?"
_STORE_SIZE = r"(?ai)(\d{1,13}(?:\.\d{1,6})?) ?(?:([KMGT])(i)?)?B?"
_LONGEST = timedelta(days=36_525)

A_DURATION = "a duration such as 15m, 36h, 14d or 2w"
A_MEMORY_SIZE = "a size such as 512M or 2G, or auto"
A_STORE_SIZE = "a size such as 20GB, or none"


def duration(text: str) -> timedelta:
    """Return weeks, days, hours, minutes and seconds, in that order. Raises `ValueError`.

    >>> duration("14d"), duration("1h30m"), duration("0")
    (datetime.timedelta(days=14), datetime.timedelta(seconds=5400), datetime.timedelta(0))
    """
    match = re.fullmatch(_DURATION, text.strip())
    if text.strip() != "0" and (match is None or not match[0]):
        raise ValueError(A_DURATION)
    units = {name: int(number) for name, number in match.groupdict().items() if number} if match else {}
    length = timedelta(**units)
    if length > _LONGEST:
        raise ValueError("a duration of at most 100 years")
    return length


def duration_words(length: timedelta) -> str:
    """Return a duration as it is written, in as few parts as it has.

    >>> duration_words(timedelta(days=14)), duration_words(timedelta(minutes=90)), duration_words(timedelta())
    ('14d', '1h30m', '0')
    """
    seconds = length.days * 86_400 + length.seconds
    words = ""
    for letter, unit in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, unit)
        words += f"{number}{letter}" if number else ""
    return words or "0"


def memory_size(text: str) -> int:
    """Return bytes; K, M, G and T are powers of 1,024, as where memory is bought. Raises `ValueError`.

    >>> memory_size("2G"), memory_size("512 MiB")
    (2147483648, 536870912)
    """
    match = re.fullmatch(_SIZE, text.strip())
    if match is None:
        raise ValueError(A_MEMORY_SIZE)
    kibibytes = int(float(match[1]) * 1024 ** "KMGT".index(match[2].upper()))
    if not 0 < kibibytes < 2**40:
        raise ValueError(A_MEMORY_SIZE)
    return kibibytes * 1024


def store_size(text: str) -> int:
    """Return bytes; k, M, G and T are powers of 1,000, as disks are sold, Ki and so on of 1,024. Raises `ValueError`.

    >>> store_size("20GB"), store_size("512 MiB"), store_size("0")
    (20000000000, 536870912, 0)
    """
    match = re.fullmatch(_STORE_SIZE, text.strip())
    if match is None:
        raise ValueError(A_STORE_SIZE)
    base = 1024 if match[3] else 1000
    size = int(float(match[1]) * base ** " KMGT".index((match[2] or " ").upper()))
    if size >= 2**53:
        raise ValueError(A_STORE_SIZE)
    return size


def memory_words(size: int) -> str:
    """Return bytes as they are written, in the biggest unit in which they are a whole number.

    >>> memory_words(2 * 1024**3), memory_words(1536 * 1024**2)
    ('2G', '1536M')
    """
    for power, letter in ((4, "T"), (3, "G"), (2, "M")):
        if size % 1024**power == 0:
            return f"{size // 1024**power}{letter}"
    return f"{size // 1024}K"
