# Connection states (RFC 9293 3.3.2).

CLOSED = const(0)
LISTEN = const(1)
SYN_SENT = const(2)
SYN_RCVD = const(3)
ESTABLISHED = const(4)
CLOSE_WAIT = const(5)
FIN_WAIT_1 = const(6)
FIN_WAIT_2 = const(7)
CLOSING = const(8)
LAST_ACK = const(9)
TIME_WAIT = const(10)

NAMES = (
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "CLOSE-WAIT",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
)
