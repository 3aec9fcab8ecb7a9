"""Inputs of an index, of a server or of a wheel's author that are wrong, and what is to come of each.

A kind of input is a module here: groups with one policy each, a line of docs/reference/faults.md, and in each group
cases that differ. `judges` has, for each kind, what tf-tester makes of one case. `tests/functional/test_corpus.py` runs
all of them, `python bench/corpus.py` counts them.
"""
