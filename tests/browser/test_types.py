"""The page's script has the types that its comments say, by TypeScript's compiler; where npm has brought it."""

import shutil
import subprocess

import pytest

from tests.browser.reader import ROOT

pytestmark = pytest.mark.browser

TSC = ROOT / "node_modules/typescript/bin/tsc"
STRICT = (
    *("--allowJs", "--checkJs", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom,dom.iterable"),
    *("--noUncheckedIndexedAccess", "--noUnusedLocals", "--noUnusedParameters", "--noImplicitReturns", "--types", ""),
)


def test_the_script_is_typed() -> None:
    node = shutil.which("node")
    if node is None or not TSC.exists():
        pytest.skip("TypeScript isn't here: npm install --no-save typescript")
    scripts = sorted((ROOT / "src/tf_tester/report/formats/page/script").glob("*.js"))
    assert len(scripts) == 7
    checked = subprocess.run([node, TSC, *STRICT, *scripts], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
