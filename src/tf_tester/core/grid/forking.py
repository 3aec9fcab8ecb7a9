"""Whether one interpreter may serve several fields of a consumer. Pure."""

from packaging.specifiers import SpecifierSet

from tf_tester.model.framework import Framework


def imported_before_forks(framework: Framework, version: str) -> tuple[str, ...]:
    """Return the top-level modules that a process of this version may import before it is forked; none: it may not be.

    >>> from tf_tester.model.framework import Forking
    >>> framework = Framework("Toy", ("toy",), forks=(Forking(">=1.2,<2", ("toy", "numpy")),))
    >>> imported_before_forks(framework, "1.3"), imported_before_forks(framework, "2.0")
    (('toy', 'numpy'), ())
    """
    fitting = (one.names for one in framework.forks if SpecifierSet(one.versions).contains(version, prereleases=True))
    return next(fitting, ())
