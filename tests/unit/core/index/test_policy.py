"""What an administrator lets through."""

import pytest

from tf_tester.core.index.policy import IndexPolicy, read_policy
from tf_tester.errors import ConfigError
from tf_tester.model.artifact import Artifact


def policy(text: str) -> IndexPolicy:
    return read_policy(text.encode(), shown="policy.toml")


def file(project: str, version: str = "1.0") -> Artifact:
    name = f"{project}-{version}-py3-none-any.whl"
    return Artifact(name, project, version, f"https://x.example/{name}", "a" * 64)


def test_what_is_blocked_is_not_shown_whatever_allows_it() -> None:
    rules = policy('allow = ["torch", "acme-*"]\nblock = ["Acme_Evil", "torch<2.6"]')
    assert [rules.lets_through(file("torch", one)) for one in ("2.5.1", "2.6.0", "3.0rc1")] == [False, True, True]
    assert [rules.refuses(name) for name in ("torch", "acme-good", "acme-evil", "numpy")] == [False, False, True, True]


def test_a_version_that_nobody_can_read_is_blocked_and_not_allowed() -> None:
    assert not policy('block = ["toy<1"]').lets_through(file("toy", "last"))
    assert not policy('allow = ["toy>=1"]').lets_through(file("toy", "last"))
    assert policy('block = ["other<1"]').lets_through(file("toy", "last"))


def test_some_may_be_young() -> None:
    rules = policy('min-age = "7d"\nno-min-age = ["sdk", "urllib3==2.6.1"]')
    assert [rules.may_be_young(one) for one in (file("sdk"), file("urllib3", "2.6.1"), file("urllib3", "2.6.2"))] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "text",
    [
        'allow = "toy"',
        'alow = ["toy"]',
        'block = ["toy>"]',
        'block = ["toy[x]"]',
        'min-age = "week"',
        "x",
        'block = [""]',
        "",
        " \n\t\n",
        "# block = ['evil']\n",
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        policy(text)


def test_that_everything_is_let_through_can_be_said() -> None:
    assert policy("block = []").lets_through(file("toy"))
