# Chooses, once and in one place, between the viper routines and their bytecode twins.
#
# `viper/` cannot even be compiled where MicroPython has no native emitter (SyntaxError: arm64
# macOS, WebAssembly), so the choice is made by trying. VIPERIP_BYTECODE=1 in the environment
# forces the twins where there is one.
import sys


def _forced():
    try:
        from os import getenv

        return getenv("VIPERIP_BYTECODE") == "1"
    except ImportError:
        return False


def _load(package, name):
    path = "viperip." + package + "." + name
    __import__(path)
    return sys.modules[path]


VIPER = not _forced()


def load(name):
    # The module of hot routines called `name`: "memory", "ip", "udp" or "tcp".
    global VIPER
    if VIPER:
        try:
            return _load("viper", name)
        except SyntaxError:
            VIPER = False
    return _load("bytecode", name)
