"""Of which versions it is known that a process may be forked right after the import."""

from packaging.specifiers import SpecifierSet

from tf_tester.core.grid.forking import imported_before_forks
from tf_tester.model.framework import Forking, Framework
from tf_tester.wiring.frameworks import framework_of


def test_a_version_that_was_not_tried_is_not_forked() -> None:
    tried = Forking(">=1.2,<2", ("toy", "numpy")), Forking("==3.0.*", ("toy",))
    framework = Framework("Toy", ("toy",), forks=tried)
    assert imported_before_forks(framework, "1.2.0") == ("toy", "numpy")
    assert imported_before_forks(framework, "3.0rc1") == imported_before_forks(framework, "3.0.5") == ("toy",)
    assert imported_before_forks(framework, "2.1") == ()
    assert imported_before_forks(Framework("Other", ("other",)), "1.0") == ()


def test_of_real_frameworks_the_first_module_is_that_of_the_framework() -> None:
    for package, module in (("tensorflow-cpu", "tensorflow"), ("scikit-learn", "sklearn"), ("numpy", "numpy")):
        known = framework_of(package).forks
        assert known
        assert all(one.names[0] == module and str(SpecifierSet(one.versions)) for one in known)
