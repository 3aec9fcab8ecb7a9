"""For all tests."""

from hypothesis import settings

# A busy machine is not a mistake: no test depends on a clock.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")
