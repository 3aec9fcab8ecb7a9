"""The file that says what a replica holds."""

from datetime import timedelta

import pytest
from packaging.requirements import Requirement

from tf_tester.core.locks.replica_config import ReplicaConfig, read_config, roots_of
from tf_tester.errors import ConfigError


def read(text: str) -> ReplicaConfig:
    return read_config(text.encode(), shown="here.toml", stem="My Replica")


def test_the_file_is_named_after_itself_and_its_words_are_read() -> None:
    config = read(
        """
        projects = ["tensorflow>=2.8", "numpy"]
        pythons = ["3.9", "3.10", "3.9"]
        platforms = ["linux_x86_64"]
        exclude = ["Foo_Bar"]
        newest = 3
        era = true
        most = "2GB"
        """
    )
    assert config.name == "my-replica"
    assert [one.name for one in config.projects] == ["tensorflow", "numpy"]
    assert config.pythons == ((3, 9), (3, 10))
    assert (config.newest, config.most, config.rules.grace) == (3, 2_000_000_000, timedelta(days=14))
    assert config.rules.exclude == {"foo-bar"}


def test_zero_versions_are_all() -> None:
    config = read('projects = ["numpy"]\nnewest = 0\nnewest-of-dependencies = 0')
    assert (config.newest, config.rules.newest) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "projects = 1",
        "",
        "projects = []",
        'projects = ["numpy"]\nproject = "x"',
        'projects = ["!!"]',
        'projects = ["numpy @ https://x/numpy.whl"]',
        'projects = ["numpy"]\npythons = ["2.7"]',
        'projects = ["numpy"]\nplatforms = ["amiga"]',
        'projects = ["numpy"]\nsdists = "sometimes"',
        'projects = ["numpy"]\nnewest = -1',
        'projects = ["numpy"]\nmax-deletions = -1',
        'projects = ["numpy"]\nmost = "much"',
        'projects = ["numpy"]\nera = true\ngrace = "soon"',
        'name = "../x"\nprojects = ["numpy"]',
        "projects = [",
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"here\.toml"):
        read(text)


def test_roots_are_those_of_the_file_of_its_requirements_and_of_its_locks_each_once() -> None:
    config = read('projects = ["numpy"]\npythons = ["3.10"]\nplatforms = ["linux_x86_64"]')
    locked = [(Requirement("toy==1.0"), frozenset({"a" * 64}))]
    roots = roots_of(config, [Requirement("numpy"), Requirement("h5py")], locked)
    assert [(one.project, one.alone) for one in roots] == [("numpy", False), ("h5py", False), ("toy", True)]
    assert roots[-1].digests == {"a" * 64}
