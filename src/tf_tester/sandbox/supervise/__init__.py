"""Calls that a sandboxed program may make only as we make them for it (`seccomp_unotify(2)`)."""
