# What a received frame is on its way up: one object for all of them, each layer fills in its part.
#
# An object and not a row of arguments: a function whose frame has more than eleven words takes
# heap on every call, and arguments count (py/objfun.c, VM_MAX_STATE_ON_STACK).


class Packet:
    """A frame at buf[frame:frame+frame_n], what is left of it for the next layer at
    buf[off:off+n].

    Network access sets ifc, frame and group; the internet layer ip (where the IPv4 header is),
    proto, ttl, to and whole; the transport sport, dport, sum, placed, and its payload
    buf[data:data+size].
    """

    def __init__(self):
        self.ifc = None
        self.buf = b""
        self.frame = 0
        self.frame_n = 0
        self.off = 0
        self.n = 0
        self.group = 0  # 1: the frame was a link-layer broadcast or multicast
        self.ip = 0
        self.proto = 0
        self.ttl = 0
        self.to = 0  # class of the destination address, as ip_class() has it
        self.whole = True  # False: reassembled from fragments
        self.sport = 0
        self.dport = 0
        self.sum = 0  # of pseudo-header and transport header; -1: the sender computed none
        self.data = 0
        self.size = 0
        self.placed = False  # the payload lies in the socket's ring already

    def source(self):
        """Source address, 4 bytes."""
        return bytes(self.buf[self.ip + 12 : self.ip + 16])

    def destination(self):
        """Destination address, 4 bytes."""
        return bytes(self.buf[self.ip + 16 : self.ip + 20])
