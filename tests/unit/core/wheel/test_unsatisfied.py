"""Which requirement a resolver's reasoning is about."""

import pytest

from tf_tester.core.wheel.unsatisfied import is_demanded

WHY = """  × No solution found when resolving dependencies:
  ╰─▶ Because only numpy<=2.1 is available and you require numpy>=99, we can
      conclude that your requirements are unsatisfiable."""
TWO = "Because toy==1.0 depends on gear<2 and you require gear>=2,<3 and toy==1.0, we can conclude that"


@pytest.mark.parametrize(
    ("text", "why", "demanded"),
    [
        ("numpy>=99", WHY, True),
        ("NumPy >= 99 ; python_version > '3'", WHY, True),
        ("numpy", WHY, False),
        ("numpy<=2.1", WHY, False),
        ("gear<3,>=2", TWO, True),
        ("toy==1.0", TWO, True),
        ("not a requirement", WHY, False),
        ("six", "", False),
    ],
)
def test_only_what_the_user_demands_is_named(text: str, why: str, demanded: bool) -> None:
    assert is_demanded(text, why) is demanded
