"""What mirrors' own feed tells of them."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from tf_tester.core.feeds import Report, reports
from tf_tester.index.mirrors import Mirror


def reports_of(content: bytes, mirrors: Iterable[Mirror]) -> dict[str, Report]:
    """Return the reports on those mirrors that a feed knows, by name. Raises `ValueError` where it is no feed."""
    told = reports(content)
    found = {}
    for mirror in mirrors:
        # Some have a name of its own for PyPI: the one for packages tells the site.
        hosts = [urlsplit(url).hostname for url in (mirror.url, mirror.apt) if url]
        report = next((told[host] for host in hosts if host in told), None)
        if report is not None:
            found[mirror.name] = report
    return found
