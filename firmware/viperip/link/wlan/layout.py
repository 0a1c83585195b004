# Where things are in the two pieces of memory that machine code and Python share. All are words of
# 32 bits, little-endian.

# The mailbox: a function of the firmware, its arguments, and what it returned.
FUNCTION = const(0)
ARGUMENT = const(1)  # four of them
RESULT = const(5)
MAIL_WORDS = const(6)

# The ring of received frames. HEAD and TAIL count frames and are never set back: slot number
# `count & slots - 1` is next, and HEAD - TAIL frames wait. The callback writes HEAD, DROPPED, LATE
# and the slot at HEAD; the consumer writes the rest.
HEAD = const(0)
TAIL = const(1)
DROPPED = const(2)  # frames given back by the callback because every slot was taken
FREE = const(3)  # address of esp_wifi_internal_free_rx_buffer
CLOSED = const(4)  # not 0: nobody reads here, the callback gives every frame back
LATE = const(5)  # frames given back for that reason
MAGIC = const(6)  # "vip1", once all words are set: how a ring is known again after a soft reset
CALLBACK = const(7)  # address of the callback's machine code
SLOT = const(8)  # of four words: address of the frame, its length, eb, nothing
VIP1 = const(0x31706976)


def ring_words(slots):
    """How many words a ring of `slots` frames takes."""
    return SLOT + 4 * slots
