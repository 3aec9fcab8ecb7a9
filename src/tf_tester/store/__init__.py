"""The local, content-addressed place: write to a temporary name, verify, sync, link; atomic or absent.

Layout of a store, all on one file system::

    CACHEDIR.TAG              backup programs leave the folder alone
    ledger.sqlite             what we know: pages, metadata, locks, interpreters, runs
    ledger.sqlite.lock        held while somebody opens the ledger
    blobs/ab/abcd…            verified files by SHA-256, read-only
    incoming/abcd….part       bytes that are still coming; the next run goes on from them
    claims/abcd….lock         held while somebody brings that blob or makes that layer
    layers/abcd…/             a wheel unpacked once, with its bytecode for each Python that has used it
    plans/abcd…/              what an environment of certain layers looks like
    interpreters/             what uv learnt of the Pythons of this machine
    tmp/NAME/, tmp/NAME.lock  work of one living process; swept when its owner is gone
    kept/NAME/                environments that a person asked to keep
    runs/RUN/                 record and evidence of one run
"""
