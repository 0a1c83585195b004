"""The pytest plugin that runs device tests in MicroPython: on this computer, and on boards."""
