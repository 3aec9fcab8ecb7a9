"""`tf-tester helper`: a file of the user's is only written over where that is asked for."""

from tests.integration.conftest import User
from tf_tester.wiring import helper_module

TEXT = helper_module().read_text("utf-8")


def test_the_helper_is_written_once_and_over_nothing_else(user: User) -> None:
    first, again = user.run("helper"), user.run("helper")
    assert (first.code, first.out) == (0, "wrote tf_tester_helper.py\n")
    assert (again.code, again.out) == (0, "tf_tester_helper.py is there already, as it would be written\n")
    assert (user.folder / "tf_tester_helper.py").read_text() == TEXT

    user.write("tf_tester_helper.py", TEXT + "# mine\n")
    refused = user.run("helper")
    assert (refused.code, refused.out) == (2, "")
    assert "another version of the helper, or one that was changed" in refused.err
    assert "--force" in refused.err
    assert (user.folder / "tf_tester_helper.py").read_text() == TEXT + "# mine\n"
    forced = user.run("helper", "--force")
    assert (forced.code, forced.out) == (0, "wrote tf_tester_helper.py over what was there\n")
    assert (user.folder / "tf_tester_helper.py").read_text() == TEXT


def test_another_file_can_be_named_and_standard_output(user: User) -> None:
    user.write("model.py", "precious = 1\n")
    refused = user.run("helper", "-o", "model.py")
    assert refused.code == 2
    assert "model.py is there already, and not ours." in refused.err
    assert (user.folder / "model.py").read_text() == "precious = 1\n"
    assert user.run("helper", "-o", "-").out == TEXT
    nowhere = user.run("helper", "-o", "none/there.py")
    assert nowhere.code == 2
    assert "There is no folder" in nowhere.err


def test_tests_that_import_it_run_in_a_cell_without_the_file(user: User) -> None:
    user.write("check.py", "import toy\nfrom tf_tester_helper import record\nrecord('gears', toy.spin())\n")
    assert user.run("test", "check.py", "--versions", "1.0,2.0").outcomes() == {"1.0": "pass", "2.0": "pass"}
