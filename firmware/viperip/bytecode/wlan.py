# Bytecode twin of viper/wlan.py. Ring, calls and mail are arrays of words here.


def _oldest(ring, calls):
    return 8 + ((ring[1] & calls[25]) << 2)


def _give_back(ring, e, mail, call):
    mail[0] = ring[3]
    mail[1] = ring[e + 2]
    call()
    ring[1] = ring[1] + 1 & 0xFFFFFFFF


def take(ring, calls, mail, call):
    if ring[0] == ring[1]:
        return 0
    e = _oldest(ring, calls)
    n = ring[e + 1]
    if 14 <= n <= calls[26]:
        mail[0] = calls[0]
        mail[1] = calls[1]
        mail[2] = ring[e]
        mail[3] = n
        call()
    else:
        n = -1
    _give_back(ring, e, mail, call)
    return n


def drain(ring, calls, mail, call):
    n = 0
    while ring[0] != ring[1]:
        _give_back(ring, _oldest(ring, calls), mail, call)
        n += 1
    return n


def invoke(calls, at, mail, call):
    for i in range(5):
        mail[i] = calls[at + i]
    call()
    return -1 if mail[5] >> 31 else mail[5] & 0x3FFFFFFF


def get(words, i):
    return words[i]


def put(words, i, value):
    words[i] = value & 0xFFFFFFFF
