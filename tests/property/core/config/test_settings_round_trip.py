"""What `tf-tester config` shows can be written into a file again."""

from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tf_tester.core.config.settings import (
    BY_NAME,
    TABLE,
    PathBase,
    Setting,
    SettingsContext,
    from_environment,
    from_file,
    limits,
    plain,
    settle,
)
from tf_tester.core.text.units import duration, duration_words, memory_size, memory_words
from tf_tester.errors import ConfigError
from tf_tester.model.host.limits import Limit

SURROUNDINGS = SettingsContext(store=Path("/cache"), cpus=2)
PLACE = PathBase(Path("/here"), Path("/home/me"))
words = st.sampled_from(
    ["2w", "1h30m", "3.8", "auto", "A=1", "~/x", "none", "1.5G", "yes", "era", "numpy<2", "memory=4G"]
)
amounts = st.none() | st.integers(min_value=1, max_value=10**9 - 1)
# No "@": what stands before one may be a password, and isn't shown.
texts = st.text(st.characters(exclude_characters="@"), max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=36_525)))
def test_a_duration_can_be_read_as_it_is_written(length: timedelta) -> None:
    whole = length - timedelta(microseconds=length.microseconds)
    assert duration(duration_words(whole)) == whole


@given(st.integers(min_value=1, max_value=2**40 - 1).map(lambda size: size * 1024))
def test_a_size_can_be_read_as_it_is_written(size: int) -> None:
    assert memory_size(memory_words(size)) == size


@given(st.dictionaries(st.sampled_from(Limit), amounts), st.sampled_from(["file", "environment"]))
def test_any_limit_holds_as_it_is_written_wherever(wanted: dict[Limit, int | None], source: str) -> None:
    written = {str(limit): limit_words(limit, amount) for limit, amount in wanted.items()}
    if source == "file":
        given = from_file({"limit": written}, Path("/p/tf-tester.toml"), "tf-tester.toml", Path("/h"))
    else:
        text = ",".join(f"{name}={amount}" for name, amount in written.items())
        given = from_environment({"TF_TESTER_LIMIT": text}, PLACE)
    usual = limits(settle([], SURROUNDINGS).settings, memory=10**10)
    expected = {limit: amount if limit.counts or amount is None else amount * 1024 for limit, amount in wanted.items()}
    changed = {limit.replace("-", "_"): amount for limit, amount in expected.items()}
    assert limits(settle(given, SURROUNDINGS).settings, memory=10**10) == replace(usual, **changed)


def limit_words(limit: Limit, amount: int | None) -> str:
    """An amount, in KiB where it is one of bytes, as it is written."""
    if amount is None:
        return "none"
    return str(amount) if limit.counts else memory_words(amount * 1024)


@given(st.sampled_from(TABLE), anything)
def test_any_value_is_taken_or_refused_in_words(setting: Setting, value: object) -> None:
    try:
        resolved = settle(
            from_file({setting.name: value}, Path("/p/tf-tester.toml"), "tf-tester.toml", Path("/h")),
            SURROUNDINGS,
        )
    except ConfigError as error:
        assert setting.name in str(error)
    else:
        shown = {s.name: plain(resolved.settings, s) for s in TABLE}
        written = {name: value for name, value in shown.items() if value is not None}
        again = settle(from_file(written, Path("/p/f.toml"), "f.toml", Path("/h")), SURROUNDINGS)
        assert again.settings == resolved.settings


@given(st.sampled_from(TABLE), st.text(max_size=30))
def test_any_text_in_a_variable_is_taken_or_refused_in_words(setting: Setting, text: str) -> None:
    try:
        resolved = settle(from_environment({setting.variable: text}, PLACE), SURROUNDINGS)
    except ConfigError as error:
        assert str(error).startswith(setting.variable)
    else:
        assert resolved.origins[setting.name] == (setting.variable if text.strip() else "default")


@given(st.text(min_size=1, max_size=20).filter(lambda name: name not in BY_NAME))
def test_any_other_name_is_refused(name: str) -> None:
    try:
        from_file({name: 1}, Path("/p/tf-tester.toml"), "tf-tester.toml", Path("/h"))
    except ConfigError as error:
        assert "there is no setting" in str(error)
        assert error.hint
    else:
        raise AssertionError
