# Socket options: what setsockopt() and getsockopt() do, apart from the sockets themselves.
from .errors import EINVAL, ENODEV, ENOPROTOOPT, ENOTCONN

SOL_SOCKET = 1
SO_REUSEADDR = 2
SO_ERROR = 4
SO_BROADCAST = 6
SO_SNDBUF = 7
SO_RCVBUF = 8
SO_KEEPALIVE = 9
SO_LINGER = 13
SO_BINDTODEVICE = 25
IPPROTO_IP = 0
IPPROTO_TCP = 6
IP_TOS = 1
IP_TTL = 2
IP_HDRINCL = 3
IP_MULTICAST_IF = 32
IP_MULTICAST_TTL = 33
IP_ADD_MEMBERSHIP = 35
IP_DROP_MEMBERSHIP = 36
TCP_NODELAY = 1
TCP_KEEPIDLE = 4
TCP_KEEPINTVL = 5
TCP_KEEPCNT = 6
TCP_INFO = 11
TCP_USER_TIMEOUT = 18

_ANY = bytes(4)
_MIN_BUFFER = const(256)
_MAX_KEEP = const(32767)  # seconds, as on Linux; a deadline is at most 2**29 ms away
_ESTABLISHED = const(4)
_CLOSE_WAIT = const(5)

# What an option is before it is set; level << 8 | option.
_DEFAULTS = {
    SOL_SOCKET << 8 | SO_REUSEADDR: 0,
    SOL_SOCKET << 8 | SO_BROADCAST: 0,
    SOL_SOCKET << 8 | SO_KEEPALIVE: 0,
    SOL_SOCKET << 8 | SO_LINGER: -1,
    SOL_SOCKET << 8 | SO_BINDTODEVICE: "",
    IPPROTO_IP << 8 | IP_TOS: 0,
    IPPROTO_IP << 8 | IP_TTL: 64,
    IPPROTO_IP << 8 | IP_HDRINCL: 0,
    IPPROTO_IP << 8 | IP_MULTICAST_IF: _ANY,
    IPPROTO_IP << 8 | IP_MULTICAST_TTL: 1,
    IPPROTO_TCP << 8 | TCP_NODELAY: 0,
    IPPROTO_TCP << 8 | TCP_KEEPIDLE: 7200,
    IPPROTO_TCP << 8 | TCP_KEEPINTVL: 75,
    IPPROTO_TCP << 8 | TCP_KEEPCNT: 9,
    IPPROTO_TCP << 8 | TCP_USER_TIMEOUT: 0,
}


def apply(s, key, value):
    """Give an option to socket `s`: key is a SOL_SOCKET option or (level, option).

    False if there is no such option. OSError: EINVAL, ENODEV.
    """
    p = s._pcb
    if key in (SO_REUSEADDR, SO_LINGER):
        return True
    if key == SO_BROADCAST:
        if s._datagram:
            p.broadcast = bool(value)
        return True
    if key == SO_SNDBUF or key == SO_RCVBUF:
        return _buffer(s, key, value)
    if key == SO_BINDTODEVICE:
        return _bind_device(s, value)
    if isinstance(key, int):
        return key == SO_KEEPALIVE and not s._datagram and _tcp(s, key, value)
    if key[0] == IPPROTO_TCP:
        return not s._datagram and _tcp(s, key[1], value)
    if key[0] == IPPROTO_IP:
        return _ip(s, key[1], value)
    return False


def _buffer(s, key, value):
    if value < _MIN_BUFFER:
        raise OSError(EINVAL)
    p = s._pcb
    if s._datagram:
        if key == SO_RCVBUF and p.ring is None:
            p.size = value
    elif s._listening:
        if key == SO_SNDBUF:
            p.snd_size = value
        else:
            p.rcv_size = value
    elif p is not None:
        if key == SO_SNDBUF:
            p.resize(value, 0)
        else:
            p.resize(0, value)
    return True


def interface(stack, name):
    """The interface of that name. OSError(ENODEV)."""
    for ifc in stack.interfaces:
        if ifc.name == name:
            return ifc
    raise OSError(ENODEV)


def _bind_device(s, name):
    if isinstance(name, (bytes, bytearray)):
        name = bytes(name).rstrip(b"\0").decode()
    s._ifc = interface(s.stack, name) if name else None
    if s._pcb is not None:
        s._pcb.ifc = s._ifc
    return True


def _tcp(s, option, value):
    if option in (TCP_KEEPIDLE, TCP_KEEPINTVL) and not 0 < value <= _MAX_KEEP:
        raise OSError(EINVAL)
    p = s._pcb
    if p is None or s._listening:
        # Kept by the socket; the connection gets it when there is one.
        return option in (
            SO_KEEPALIVE,
            TCP_NODELAY,
            TCP_KEEPIDLE,
            TCP_KEEPINTVL,
            TCP_KEEPCNT,
            TCP_USER_TIMEOUT,
        )
    if option == TCP_NODELAY:
        p.nodelay = bool(value)
        p.touch()
    elif option == SO_KEEPALIVE:
        p.keepalive = bool(value)
        _keep(p)
    elif option == TCP_KEEPIDLE:
        p.keep_idle = value * 1000
        _keep(p)
    elif option == TCP_KEEPINTVL:
        p.keep_interval = value * 1000
    elif option == TCP_KEEPCNT:
        p.keep_count = value
    elif option == TCP_USER_TIMEOUT:
        p.user_timeout = value
    else:
        return False
    return True


def _keep(p):
    if p.keepalive and p.state in (_ESTABLISHED, _CLOSE_WAIT):
        from .transport.tcp import timers

        timers.start(p, 2, p.keep_idle)


def _ip(s, option, value):
    p = s._pcb
    if option == IP_TOS or option == IP_TTL:
        if not (0 if option == IP_TOS else 1) <= value <= 255:
            raise OSError(EINVAL)
        if p is None or s._listening:
            pass  # kept by the socket, for its connections
        elif option == IP_TOS:
            p.tos = value
        else:
            p.ttl = value
        return True
    if not s._datagram:
        return False
    if option == IP_HDRINCL:
        p.header_included = bool(value)
    elif option == IP_MULTICAST_TTL:
        if not 0 <= value <= 255:
            raise OSError(EINVAL)
        p.multicast_ttl = value
    elif option == IP_MULTICAST_IF:
        p.multicast_ifc = _by_address(s.stack, value)
    elif option == IP_ADD_MEMBERSHIP or option == IP_DROP_MEMBERSHIP:
        _member(s, option, bytes(value))
    else:
        return False
    return True


def _by_address(stack, addr):
    # The interface with an address; for 0.0.0.0 the one that multicasts leave by.
    if addr == _ANY:
        r = stack.ip.route(b"\xe0\0\0\x01", 0)
        if r is not None:
            return r.ifc
    for ifc in stack.interfaces:
        if ifc.addr == addr:
            return ifc
    raise OSError(ENODEV)


def _member(s, option, mreq):
    if len(mreq) < 8 or not 224 <= mreq[0] < 240:
        raise OSError(EINVAL)
    from .internet.igmp import of

    ifc = _by_address(s.stack, mreq[4:8])
    pair = (ifc, mreq[:4])
    if option == IP_ADD_MEMBERSHIP:
        of(s.stack).join(ifc, mreq[:4])
        s._groups.append(pair)
    elif pair in s._groups:
        s._groups.remove(pair)
        if pair not in s._groups:
            of(s.stack).leave(ifc, mreq[:4])


def get(s, level, option):
    """The value of an option; TCP_INFO gives a dict (times in ms, sizes in bytes)."""
    p = s._pcb
    if level == SOL_SOCKET:
        if option == SO_ERROR:
            e = 0 if p is None or s._listening else p.error
            if e:
                p.error = 0
            return e
        if option == SO_RCVBUF or option == SO_SNDBUF:
            if p is None:
                return s._options.get(option, s.stack.tcp_buffer)
            if s._datagram:
                return p.size
            return p.rcv_size if option == SO_RCVBUF else p.snd_size
    elif level == IPPROTO_TCP and option == TCP_INFO:
        if p is None:
            raise OSError(ENOTCONN)
        return p.as_dict()
    key = option if level == SOL_SOCKET else (level, option)
    if key in s._options:
        return s._options[key]
    value = _DEFAULTS.get(level << 8 | option) if 0 < option < 256 else None
    if value is None:
        raise OSError(ENOPROTOOPT)
    return value
