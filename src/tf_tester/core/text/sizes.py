"""Sizes and times as people say them; one spelling everywhere."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size_text(count: float) -> str:
    """Return bytes in decimal units, as indexes and disks count.

    >>> [size_text(count) for count in (512, 4_200, 498_000_000, 1_250_000_000)]
    ['512 B', '4.2 kB', '498 MB', '1.2 GB']
    """
    value = max(float(count), 0.0)
    unit = 0
    while round(value) >= 1000 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    digits = 1 if unit and round(value, 1) < 10 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def count_text(number: int, what: str, *, none: str = "0") -> str:
    """Return how many there are of something. `none`: the word for 0.

    >>> count_text(1, "file"), count_text(3, "file"), count_text(0, "file"), count_text(0, "cell", none="no")
    ('1 file', '3 files', '0 files', 'no cells')
    """
    return f"1 {what}" if number == 1 else f"{number or none} {what}s"


def duration_text(seconds: float) -> str:
    """Return seconds in the coarsest words that still tell something.

    >>> [duration_text(seconds) for seconds in (0.042, 4.21, 38.4, 65, 7_512)]
    ['42 ms', '4.2 s', '38 s', '1 min 05 s', '2 h 05 min']
    """
    value = max(float(seconds), 0.0)
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if round(value, 1) < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
