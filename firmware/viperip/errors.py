# errno by name. The running port's numbers where it has them, else Linux's; the bare-metal ports
# differ (ETIMEDOUT is 116 there, 110 on Linux), so no number may be written anywhere else.
import errno as _errno

_LINUX = {
    "ENOENT": 2,
    "EIO": 5,
    "EAGAIN": 11,
    "EBADF": 9,
    "ENOMEM": 12,
    "EACCES": 13,
    "EEXIST": 17,
    "ENODEV": 19,
    "EINVAL": 22,
    "ENOSPC": 28,
    "EPIPE": 32,
    "ENOTSOCK": 88,
    "EDESTADDRREQ": 89,
    "EMSGSIZE": 90,
    "ENOPROTOOPT": 92,
    "EPROTONOSUPPORT": 93,
    "EOPNOTSUPP": 95,
    "EAFNOSUPPORT": 97,
    "EADDRINUSE": 98,
    "EADDRNOTAVAIL": 99,
    "ENETDOWN": 100,
    "ENETUNREACH": 101,
    "ECONNABORTED": 103,
    "ECONNRESET": 104,
    "ENOBUFS": 105,
    "EISCONN": 106,
    "ENOTCONN": 107,
    "ETIMEDOUT": 110,
    "ECONNREFUSED": 111,
    "EHOSTUNREACH": 113,
    "EALREADY": 114,
    "EINPROGRESS": 115,
}

for _name in _LINUX:
    globals()[_name] = getattr(_errno, _name, _LINUX[_name])


def name(number):
    """ "ECONNRESET" of its number on this port."""
    for n in _LINUX:
        if globals()[n] == number:
            return n
    return str(number)
