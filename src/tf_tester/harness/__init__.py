"""Run a user's tests inside the tested interpreter and write what happened as events.

Everything here runs on CPython 3.6 to 3.14 with the standard library alone. The rest of the project imports none of it:
``run.py`` is started by its path with a file that holds the order, and its siblings are loaded under a private name.

The order is a JSON object: ``mode`` (script, pytest, unittest or product), ``targets`` (absolute paths), ``rootdir``
(ids are relative to it), ``events`` (the file to append to; null: standard input is a
socket to write into), and, where wanted, ``args``, ``watch`` (top-level packages whose
first import is timed), ``distribution`` (whose version is read), ``limit`` (characters kept of each text),
``deselect`` (ids that ran before), ``only`` (ids of tests and files; where one of them is found, nothing else runs),
``linked`` (the working folder, where it is one of links, and the folder that it stands for), ``top`` (pytest's root
folder, where it can't tell it from such a one) and ``as_set`` (pytest gets no targets: its settings have them). In the
mode product: ``role`` (producer, consumer or resaver), ``place`` (the folder of the products that are made, or of the
one that is used), of consumers and resavers ``product`` (its name), ``producer`` (a text for the function) and
``label`` (the end of an id), and of resavers ``target`` (the folder for what is saved anew) and ``saved_as`` (its
name); where one interpreter serves several fields, ``forks`` (``names`` of modules that may be imported before the
fork, ``folder`` for what the forks see, and for each of them ``timeout`` in seconds and ``output`` in bytes) and
``fields``, each with ``product``, ``producer``, ``label`` and ``from``, the folder with the product, of which the fork
gets a copy.

The events, one JSON object a line, in this order (``import`` may come anywhere; their types are in
`tf_tester.core.outcome.harness_events`):

``start``       once: ``python implementation executable prefix distribution pid``
``loading``     a module of tests is about to be imported: ``id``
``collected``   pytest and unittest: ``ids``, and ``warnings`` of loading them; while no test runs, and once, but for
                what comes up later
``test-start``  a test begins: ``id``
``import``      a watched package has been imported: ``name wall_s cpu_s ok version foreign``
``test``        a row: ``id status exception traceback stdout stderr reason warnings remarks exit_code could_not_begin
                wall_s cpu_s peak_rss_kib``; ``exception`` has ``type message file line function text in_package``;
                ``could_not_begin``: pytest refused its command line or configuration
``product``     a function is about to save something, and where: ``id name``
``resaver``     of producers: a function of the file can load something and save it anew: ``name to``
``values``      a test has recorded values, which are these bytes of their list: ``id start end``
``forking``     the framework has been imported, and for each field a fork will follow: a byte on the socket says when
``unforked``    no fork can stand for a process of its own: ``reason``
``field-said``  a fork has told an event: ``field`` (a number) and ``line``
``field-ended`` a fork is over: ``field code signal timed_out over_output wall_s cpu_s peak_rss_kib leftovers``
``end``         the interpreter is about to leave: ``exit_code`` (null: the harness itself failed) and ``collected``

A process that dies writes no ``end``; the last ``test-start`` or ``loading`` without a row says what it was doing.
"""
