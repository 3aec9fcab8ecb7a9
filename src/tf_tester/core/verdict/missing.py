"""What a test lacks that could be given to it, from what it says when it fails."""

import re
from collections.abc import Iterator

from tf_tester.core.outcome.report import RunReport
from tf_tester.model.outcome import TestRow

_MODULE = r"No module named '([A-Za-z_]\w*)"
_FIXTURE = r"fixture '(\w+)' not found"
_MARK = r"'(\w+)' not found in `markers`"
_ASYNC = "async def functions are not natively supported"
DISTRIBUTIONS = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "distutils": "setuptools",
    "dotenv": "python-dotenv",
    "git": "gitpython",
    "googleapiclient": "google-api-python-client",
    "imblearn": "imbalanced-learn",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "pkg_resources": "setuptools<81",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "yaml": "pyyaml",
}
"""Distributions by the modules that they bring, where these have other names."""
_PLUGINS = {
    "aiohttp_client": "pytest-aiohttp",
    "anyio": "anyio",
    "asyncio": "pytest-asyncio",
    "benchmark": "pytest-benchmark",
    "data_regression": "pytest-regressions",
    "datadir": "pytest-datadir",
    "django_db": "pytest-django",
    "event_loop": "pytest-asyncio",
    "faker": "faker",
    "flaky": "flaky",
    "freezer": "pytest-freezer",
    "fs": "pyfakefs",
    "httpbin": "pytest-httpbin",
    "httpserver": "pytest-httpserver",
    "httpx_mock": "pytest-httpx",
    "mocker": "pytest-mock",
    "mpl_image_compare": "pytest-mpl",
    "num_regression": "pytest-regressions",
    "qtbot": "pytest-qt",
    "requests_mock": "requests-mock",
    "shared_datadir": "pytest-datadir",
    "snapshot": "syrupy",
    "timeout": "pytest-timeout",
    "trio": "pytest-trio",
}
"""Plugins of pytest by their fixtures and marks."""
_OPTIONS = {
    "--asyncio-mode": "pytest-asyncio",
    "--benchmark": "pytest-benchmark",
    "--cov": "pytest-cov",
    "--ds": "pytest-django",
    "--dist": "pytest-xdist",
    "--flake8": "pytest-flake8",
    "--forked": "pytest-forked",
    "--html": "pytest-html",
    "--mpl": "pytest-mpl",
    "--nbmake": "nbmake",
    "--nbval": "nbval",
    "--numprocesses": "pytest-xdist",
    "--randomly": "pytest-randomly",
    "--reruns": "pytest-rerunfailures",
    "--timeout": "pytest-timeout",
    "-n": "pytest-xdist",
}
"""Plugins of pytest by how their options begin."""
_MOST = 3


def lacking(report: RunReport) -> tuple[str, ...]:
    """Return sentences on what could be given to tests that lack it: modules, fixtures and marks of plugins."""
    found = dict.fromkeys(
        sentence
        for cell in report.cells
        for row in report.result(cell).tests
        if row.outcome.is_failure_of_the_test
        for sentence in _of(row, report.packages)
    )
    return tuple(found)[:_MOST]


def _of(row: TestRow, packages: tuple[str, ...]) -> Iterator[str]:
    text = row.exception.message if row.exception is not None else row.reason
    if row.exception is not None and row.exception.type in ("ModuleNotFoundError", "ImportError"):
        for module in re.findall(_MODULE, text):
            known = DISTRIBUTIONS.get(module)
            if known:
                yield f"--with {_quoted(known)} brings the module {module}"
            elif module.replace("_", "-") not in packages:
                yield f"--with {module} may bring the module {module}; of your own it is found with --pythonpath FOLDER"
    for name in (*re.findall(_FIXTURE, text), *re.findall(_MARK, text)):
        if plugin := _PLUGINS.get(name):
            yield f"--with {plugin} brings {name}"
    if "unrecognized arguments" in text:
        for option, plugin in _OPTIONS.items():
            if re.search(rf"(^| ){option}(?![a-z])", text) or (option.startswith("--") and f" {option}" in text):
                yield f"--with {plugin} brings {option}"
    if _ASYNC in text:
        yield "--with pytest-asyncio runs async tests"


def _quoted(requirement: str) -> str:
    return f"'{requirement}'" if "<" in requirement else requirement
