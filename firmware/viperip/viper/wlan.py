# The consumer of the ring of frames that the firmware's Wi-Fi hands over (link/wlan/layout.py says
# what the words of ring and mail are). Twin: bytecode/wlan.py, same names and arguments.
#
# calls: words. Five each for a function and its arguments: at 0 the copying of a frame, at 5, 10
# ... others. At 25 the number of slots - 1, at 26 the longest frame.
# call: what makes the call that is in the mail.


@micropython.viper
def take(ring: ptr32, calls: ptr32, mail: ptr32, call) -> int:
    # Copy the oldest frame to where calls[1] says, and give its buffer back; its length. 0: there
    # is none, -1: its length cannot be, it was only given back.
    tail = ring[1]
    if ring[0] == tail:
        return 0
    e = 8 + ((tail & calls[25]) << 2)
    n = ring[e + 1]
    if n < 14 or n > calls[26]:
        n = -1
    else:
        mail[0] = calls[0]
        mail[1] = calls[1]
        mail[2] = ring[e]
        mail[3] = n
        call()
    mail[0] = ring[3]
    mail[1] = ring[e + 2]
    call()
    # The slot is the callback's again. The call before was a memory barrier.
    ring[1] = tail + 1
    return n


@micropython.viper
def drain(ring: ptr32, calls: ptr32, mail: ptr32, call) -> int:
    # Give all frames back that are in the ring; how many.
    n = 0
    while ring[0] != ring[1]:
        mail[0] = ring[3]
        mail[1] = ring[8 + ((ring[1] & calls[25]) << 2) + 2]
        call()
        ring[1] = ring[1] + 1
        n += 1
    return n


@micropython.viper
def invoke(calls: ptr32, at: int, mail: ptr32, call) -> int:
    # Make the call at calls[at]; what it returned, an int of C: 30 bits of it, -1 below 0.
    i = 0
    while i < 5:
        mail[i] = calls[at + i]
        i += 1
    call()
    r = mail[5]
    if (r >> 31) & 1:
        return -1
    return r & 0x3FFFFFFF


@micropython.viper
def get(words: ptr32, i: int) -> uint:
    return uint(words[i]) & uint(0xFFFFFFFF)


@micropython.viper
def put(words: ptr32, i: int, value: int):
    words[i] = value
