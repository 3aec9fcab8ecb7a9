"""Which versions of a framework does this code work with, what breaks where, and why."""

__version__ = "0.1.0"
