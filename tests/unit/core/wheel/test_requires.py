"""What a distribution requires, of its METADATA."""

from tf_tester.core.wheel.requirements import requirements_of


def test_requirements_keep_their_extras_markers_and_order() -> None:
    metadata = b"""Metadata-Version: 2.1
Name: toy
Version: 1.0
Requires-Dist: numpy (<2,>=1.22)
Requires-Dist: h5py[mpi]>=3 ; extra == "hdf5"
"""
    first, second = requirements_of(metadata)
    assert (first.name, first.specifier.contains("1.26"), first.specifier.contains("2.0")) == ("numpy", True, False)
    assert (second.name, second.extras, str(second.marker)) == ("h5py", {"mpi"}, 'extra == "hdf5"')


def test_what_cannot_be_read_is_passed_over() -> None:
    assert [one.name for one in requirements_of(b"Requires-Dist: !!\nRequires-Dist: numpy\n")] == ["numpy"]
    assert requirements_of(b"Name: toy\n") == ()
