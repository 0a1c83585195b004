# viperip: a TCP/IP stack in MicroPython. Everything below is loaded when it is first used.
__version__ = "0.1.0"

_PARTS = {
    "LAN": "lan",
    "up": "configure",
    "install": "pump",
    "uninstall": "pump",
    "firmware_socket": "pump",
    "firmware_select": "pump",
    "selftest": "selftest",
    "ping": "application.ping",
    "traceroute": "application.traceroute",
    "path_mtu": "application.mtu",
    "netstat": "application.netstat",
    "ifstat": "application.netstat",
    "arp": "application.netstat",
    "route": "application.netstat",
}

_stack = None
_board = None
_on_event = None


def __getattr__(name):
    import sys

    if name.startswith("__"):
        raise AttributeError(name)
    part = "viperip." + _PARTS.get(name, name)
    # `from . import native` comes here too, before the module is looked for.
    try:
        __import__(part)
    except ImportError as e:
        if name in _PARTS or part not in str(e):
            raise
        raise AttributeError(name)
    module = sys.modules[part]
    if name not in _PARTS:
        return module
    globals()[name] = value = getattr(module, name)
    return value


def default():
    """The stack that LAN and the socket module use, made at the first call."""
    global _stack
    if _stack is None:
        from .stack import Stack

        _stack = Stack()
    return _stack


def board():
    """The board's profile, a dict: what `sim` was given, or the file viperip_board.json."""
    global _board
    if _board is None:
        import json

        with open("viperip_board.json") as f:
            _board = json.load(f)
    return _board


def event(name, **values):
    """Tell whoever runs this board (`viperip sim`) what has happened; nobody: nothing."""
    if _on_event is not None:
        values["event"] = name
        _on_event(values)
