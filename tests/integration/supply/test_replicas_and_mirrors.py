"""A replica and a mirror of one name have nothing to do with one another."""

from collections.abc import Iterator

import pytest

from tests.integration.conftest import User
from tests.simulator import Lie, Simulator


@pytest.fixture
def tuna(user: User, index: Simulator) -> Iterator[Simulator]:
    """A mirror of that name, and a file for a replica that is called so, too."""
    with Simulator() as simulator:
        for name in index._files:
            simulator.add_wheel(name, index._files[name].content)
        user.write("../.config/tf-tester/mirrors.toml", f'[[mirror]]\nname = "tuna"\nurl = "{simulator.simple_url}"\n')
        user.write("tuna.toml", 'projects = ["toy==2.0"]\n')
        yield simulator


def done(user: User, *words: str) -> str:
    run = user.run(*words)
    assert run.code == 0, run.out + run.err
    return run.out + run.err


def test_a_download_from_a_mirror_leaves_the_replica_of_its_name_alone(
    user: User, index: Simulator, tuna: Simulator
) -> None:
    done(user, "sync", "tuna.toml")
    done(user, "publish", "out1")
    done(user, "download", "--versions", "1.1", "--no-deps", "--mirror", "tuna")
    assert tuna.requests["toy-1.1-py3-none-any.whl"], "from that mirror"
    done(user, "publish", "out2")
    done(user, "publish", "out2", "--verify", "--deep")
    assert done(user, "cache", "replicas").startswith("tuna  synced ")


def test_a_sync_leaves_what_is_known_of_the_mirror_of_its_name_alone(
    user: User, index: Simulator, tuna: Simulator
) -> None:
    tuna.fault("toy-1.0-py3-none-any.whl", Lie(at=5))
    done(user, "download", "--versions", "1.0", "--no-deps", "--mirror", "tuna")
    done(user, "sync", "tuna.toml")
    told = done(user, "download", "--versions", "1.1", "--no-deps", "--mirror", "tuna")
    assert "from tuna: has a cooldown until" in told
    assert not tuna.requests["toy-1.1-py3-none-any.whl"]
