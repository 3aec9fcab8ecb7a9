"""What a test lacks that could be given to it, from what it says when it fails."""

import re
from collections.abc import Iterator
from itertools import chain

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.select.own_modules import is_own_module, missing_modules
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import TestRow

_NO_PYTEST = "pytest cannot be imported in this environment"
"""The harness's remark."""
_MODULE = r"No module named '([A-Za-z_][\w.]*)"
_FIXTURE = r"fixture '(\w+)' not found"
_MARK = r"'(\w+)' not found in `markers`"
_UNKNOWN_MARK = r"PytestUnknownMarkWarning: Unknown pytest\.mark\.(\w+)"
_PROGRAM = r"^it could not be started: ([\w.+-]+): No such file or directory$"
_NO_PROGRAM = r"^it could not be started: (\S+\.py): (?:Permission denied|Exec format error)$"
_RUN_AS_A_MODULE = r"(?m)^\S*python[\d.]*: No module named ([A-Za-z_]\w*)"
_RUNNER_NAMED = r"^pytest could not begin: file or directory not found: (pytest|py\.test|python[\d.]*)(?: |$)"
_VARIABLE = r"[A-Z][A-Z\d_]*[A-Z\d]"
_OF_OS = r"(?:^|[/\\])os\.py$|^<frozen os>$"
_UNSET = (
    rf"(?i:environment[ -]variable|env(?:ironment)? ?var)s?:? ['\"`$]*({_VARIABLE})\b",
    rf"['\"`$]*\b({_VARIABLE})\b['\"`]* (?i:environment[ -]variable|env(?:ironment)? ?var)",
)
"""How messages speak of a variable of the environment; there has to be a word that it isn't there."""
_NOT_THERE = r"(?i)\b(?:not|n't|unset|missing|undefined|empty|required?|requires|must|need(?:s|ed)?|no|set)\b"
_ASYNC = "async def functions are not natively supported"
DISTRIBUTIONS = {
    "absl": "absl-py",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "distutils": "setuptools",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google.protobuf": "protobuf",
    "googleapiclient": "google-api-python-client",
    "imblearn": "imbalanced-learn",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "pkg_resources": "setuptools<81",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pywt": "pywavelets",
    "ruamel": "ruamel.yaml",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "usb": "pyusb",
    "win32api": "pywin32",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Distributions by the modules that they bring, where these have other names."""
_LEFT = {
    **dict.fromkeys(("asynchat", "asyncore", "imp", "smtpd"), "3.11"),
    **dict.fromkeys(
        ("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "nntplib", "pipes"),
        "3.12",
    ),
    **dict.fromkeys(("sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"), "3.12"),
}
"""Modules of Python's own library, with the last Python that has them."""
_PLUGINS = {
    "aiohttp_client": "pytest-aiohttp",
    "anyio": "anyio",
    "asyncio": "pytest-asyncio",
    "benchmark": "pytest-benchmark",
    "data_regression": "pytest-regressions",
    "datadir": "pytest-datadir",
    "django_db": "pytest-django",
    "event_loop": "'pytest-asyncio<1'",
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
_EARLIER_PYTEST = (
    (r"'pytest' has no attribute 'config'", "5.1"),
    (r"has no attribute 'funcargnames'", "6"),
    (r"'pytest' has no attribute '(?:collect|_fillfuncargs)'", "7"),
    (r"unknown hook 'pytest_warning_captured'", "7"),
    (r"exceptions must be derived from Warning, not <class 'NoneType'>", "8"),
    (r"(?:fail|skip|exit|xfail)\(\) got an unexpected keyword argument 'msg'", "8"),
    (r"PytestRemovedIn(\d+)Warning", ""),
)
"""What code for an earlier pytest fails with, and the first version that does so; empty: the text says it.

Each was run with pytest 4.6 to 9.0: `config` is there up to 5.0; `funcargnames` is an error from 6.0 on, and gone from
6.1; `_fillfuncargs` is an error from 7.0 on, and gone from 7.1, as `collect` is, and the hook by 7.4; `None` and `msg`
are errors from 8.0 on.
"""
_MOST = 3


def lacking(report: RunReport) -> tuple[str, ...]:
    """Return sentences on what could be given to tests that lack it: modules, fixtures and marks of plugins."""
    found = dict.fromkeys(
        sentence
        for cell in report.cells
        for row in report.result(cell).tests
        if row.outcome.is_failure_of_the_test
        for sentence in _of(row, report, cell)
    )
    return tuple(found)[:_MOST]


def lacked_by(row: TestRow, report: RunReport, cell: Cell) -> str:
    """Return the first of these sentences for one test in a cell; empty: it lacks nothing that is known here.

    Of a module of the user's own it is the remark of the cell.
    """
    remarks = report.result(cell).remarks
    raised = row.exception
    modules = missing_modules(raised.type, raised.message) if raised is not None else []
    own = (remark for remark in remarks if any(is_own_module(name, remark) for name in modules))
    return next(chain(own, _of(row, report, cell)), "")


def _of(row: TestRow, report: RunReport, cell: Cell) -> Iterator[str]:
    packages, remarks = report.packages, report.result(cell).remarks
    text = row.exception.message if row.exception is not None else row.reason
    if row.exception is not None and row.exception.type in ("ModuleNotFoundError", "ImportError"):
        for whole in re.findall(_MODULE, text):
            module = whole.partition(".")[0] if whole not in DISTRIBUTIONS else whole
            known = DISTRIBUTIONS.get(module)
            if any(is_own_module(module, remark) for remark in remarks):
                continue
            if module in _LEFT:
                yield f"the module {module} has left Python: --python {_LEFT[module]} is the last that has it"
            elif known:
                yield f"--with {_quoted(known)} brings the module {module}"
            elif module.replace("_", "-") not in packages:
                # A distribution of the module's name may not exist, or be somebody's trap: none is advised unseen.
                where = f"the module {module} may be yours: --pythonpath FOLDER finds it"
                yield f"{where}; else --with takes the distribution that brings it"
    for name in dict.fromkeys(_unset_variables(row, text)):
        sets = f"--env {name}=VALUE sets the variable {name}, --env {name} passes yours on"
        yield f"{sets}: tests have only what is given so"
    for name in (*re.findall(_PROGRAM, text), *(re.findall(_RUN_AS_A_MODULE, row.stderr) if row.exit_code else ())):
        yield f"--with {DISTRIBUTIONS.get(name, name)} may bring {name}: a cell has only what it is given"
    if (match := re.search(_NO_PROGRAM, text)) is not None:
        yield f"{match[1]} is no program: -- python {match[1]} runs it, as the file does before --"
    if (match := re.search(_RUNNER_NAMED, text)) is not None:
        yield f"where tests are named, what follows -- goes to pytest itself, without the word {match[1]}"
    for name in (*re.findall(_FIXTURE, text), *re.findall(_MARK, text), *re.findall(_UNKNOWN_MARK, text)):
        if plugin := _PLUGINS.get(name):
            yield f"--with {plugin} brings {name}"
    if "unrecognized arguments" in text:
        for option, plugin in _OPTIONS.items():
            if re.search(rf"(^| ){option}(?![a-z])", text) or (option.startswith("--") and f" {option}" in text):
                yield f"--with {plugin} brings {option}"
    if row.exception is not None and row.exception.type.endswith("ImportPathMismatchError"):
        if "site-packages" in text:
            yield "--pythonpath FOLDER, of its sources, lets tests and doctests in a package import it from there"
        else:
            yield "files of one name need an __init__.py beside each, or other names: pytest imports them as one module"
    if _NO_PYTEST in row.remarks:
        yield "--with 'pytest>=7' may bring a pytest that goes with this Python, and so does an older --python"
    yield from _of_an_earlier_pytest(f"{row.exception.type if row.exception is not None else ''}: {text}")
    if _ASYNC in text:
        # Where the plugin is there, only tests with its mark are its own.
        lock = report.locks.get(cell.name)
        there = lock is not None and any(pin.name == "pytest-asyncio" for pin in lock.pins)
        yield "-- --asyncio-mode=auto runs async tests" if there else "--with pytest-asyncio runs async tests"


def _unset_variables(row: TestRow, text: str) -> Iterator[str]:
    raised = row.exception
    if raised is not None and raised.type == "KeyError":
        name = raised.message.strip("'\"")
        asked = re.search(_OF_OS, raised.file) or f"environ['{name}']" in row.traceback.replace('"', "'")
        if asked and re.fullmatch(r"[A-Za-z_]\w*", name):
            yield name
    for line in text.splitlines():
        for pattern in _UNSET if re.search(_NOT_THERE, line) else ():
            yield from re.findall(pattern, line)


def _of_an_earlier_pytest(text: str) -> Iterator[str]:
    for pattern, version in _EARLIER_PYTEST:
        if (match := re.search(pattern, text)) is not None:
            yield f"--with 'pytest<{version or match[1]}' is a pytest that this code is for"
            return


def _quoted(requirement: str) -> str:
    return f"'{requirement}'" if "<" in requirement else requirement
