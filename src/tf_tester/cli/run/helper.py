"""`tf-tester helper`."""

import sys
from pathlib import Path
from typing import assert_never

import click

from tf_tester.cli.common.options import GivenPath
from tf_tester.cli.common.output import say
from tf_tester.cli.common.reports import STDOUT


@click.command("helper", short_help="Write the module by which tests mark what saves and loads.")
@click.option(
    "-o",
    "--output",
    "file",
    type=GivenPath(dir_okay=False, allow_dash=True),
    default=Path("tf_tester_helper.py"),
    metavar="FILE",
    help="Where to; - is standard output.  [default: tf_tester_helper.py]",
)
@click.option("--force", is_flag=True, help="Write over a file that is another one.")
def command(file: Path, force: bool) -> int:
    """Write tf_tester_helper.py, by which tests mark what saves and loads something, and record numbers.

    Tests that import it run under plain pytest, too, on Python 3.6 or newer, where nothing comes of the marks. In the
    environments of tf-tester it is there without the file.
    """
    from tf_tester.flow.supply.helper_file import HelperWritten, write_helper
    from tf_tester.wiring import helper_module

    source = helper_module()
    if file == STDOUT:
        sys.stdout.write(source.read_text("utf-8"))
        return 0
    match write_helper(source, file, force=force):
        case HelperWritten.NEW:
            say([f"wrote {file}"])
        case HelperWritten.REPLACED:
            say([f"wrote {file} over what was there"])
        case HelperWritten.SAME:
            say([f"{file} is there already, as it would be written"])
        case unknown:
            assert_never(unknown)
    return 0
