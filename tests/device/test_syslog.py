# The syslog sender, datagram by datagram.
from harness import PEER, UDP, get16, host
from viperip.application import syslog
from viperip.application.syslog import Syslog, structured

BOM = b"\xef\xbb\xbf"


def world(**options):
    h = host()
    h.stack.hostname = "board7"
    syslog.timestamp = lambda: "2023-11-14T22:13:20Z"
    return h, Syslog("10.0.0.2", stack=h.stack, **options)


def message(h):
    (d,) = h.datagrams()
    assert d.proto == UDP and d.dst == PEER
    return d.payload[8:]


def test_a_message():
    # RFC 5424 6; PRIVAL is facility times 8 plus severity (6.2.1).
    h, log = world()
    assert log.send(syslog.WARNING, "it is warm")
    assert message(h) == b"<12>1 2023-11-14T22:13:20Z board7 viperip - - - it is warm"
    log.facility = syslog.LOCAL0 + 7
    log.app = "oven"
    log.send(syslog.DEBUG, "", "ID47")
    assert message(h) == b"<191>1 2023-11-14T22:13:20Z board7 oven - ID47 -"
    log.facility = syslog.KERN
    log.send(syslog.EMERGENCY, "x")
    assert message(h).startswith(b"<0>1 ")


def test_ports():
    h, log = world()
    log.send(6, "a")
    log.send(6, "b")
    one, two = h.datagrams()
    assert get16(one.payload, 2) == 514 and get16(one.payload, 0) == get16(two.payload, 0)
    other = Syslog("10.0.0.2", port=1514, stack=h.stack)
    other.send(6, "c")
    assert get16(h.datagrams()[0].payload, 2) == 1514


def test_structured_data():
    # RFC 5424 6.3.3: only '"', '\' and ']' are escaped.
    h, log = world()
    data = {"place@32473": {"room": 'a "big" \\ one]', "n": 3}}
    log.send(6, "here", "-", data)
    text = message(h)
    head, _, sd = text.partition(b" [")
    assert sd.endswith(b"] here")
    pairs = sd[: -len(b"] here")]
    assert pairs.startswith(b"place@32473 ")
    assert b' room="a \\"big\\" \\\\ one\\]"' in pairs and b' n="3"' in pairs
    assert structured({}) == structured(None) == "-"
    assert structured({"a": {}}) == "[a]"
    assert structured({"a": {"b": "x\ny"}}) == '[a b="x y"]'
    for bad in ("", "a b", "a=b", "a]b", 'a"b', "x" * 33, "h\xf6", "a\0"):
        for data in ({bad: {}}, {"a": {bad: 1}}):
            try:
                structured(data)
            except ValueError:
                continue
            raise AssertionError(bad)


def test_header_fields_are_printable_and_short():
    # RFC 5424 6: HOSTNAME 255, APP-NAME 48, MSGID 32 characters of printable ASCII.
    h, log = world(app="my app\n" + "x" * 60, hostname="h\xf6st")
    log.send(6, "m", "i d" * 20)
    fields = message(h).split(b" ")
    assert fields[2] == b"h_st"
    assert fields[3] == b"my_app_" + b"x" * 41
    assert fields[5] == (b"i_d" * 20)[:32]
    log.app = log.hostname = ""
    h.stack.hostname = ""
    log.send(6, "m", "")
    # RFC 5424 6.2.4: an address for want of a name.
    assert message(h).split(b" ")[2:6] == [b"10.0.0.1", b"-", b"-", b"-"]


def test_text():
    # RFC 5424 6.4: UTF-8 says so with a BOM; 8.2: nothing below 32.
    h, log = world()
    log.send(6, "gr\xfcn\r\nand\tblue\x7f")
    assert message(h).endswith(b" - " + BOM + "gr\xfcn  and blue ".encode())
    log.send(6, "<3>1 - - forged\n<3>1 - - more")
    assert message(h).endswith(b" - <3>1 - - forged <3>1 - - more")


def test_long_messages_are_cut():
    # RFC 5426 3.2; never in the middle of a character, and structured data is left out whole.
    for limit in range(128, 140):
        h, log = world(limit=limit)
        log.send(6, "\u20ac" * 900)
        m = message(h)
        assert limit - 3 < len(m) <= limit
        text = m[m.index(BOM) + 3 :].decode()
        assert text == "\u20ac" * len(text)
        log.send(6, "x", "-", {"a": {"b": "c" * 200}})
        assert message(h).endswith(b"viperip - - - x")
    h, log = world()
    log.send(6, "x" * 5000)
    assert len(message(h)) == 1024
    # Longer than the wire's MTU: it goes in fragments.
    h, log = world(limit=4000)
    assert log.send(6, "x" * 5000)
    assert len(h.datagrams()) == 3


def test_the_network_is_no_reason_to_raise():
    h, log = world()
    far = Syslog("192.0.2.1", stack=h.stack)
    assert not far.send(3, "unheard") and far.lost == 1
    h.ifc.down()
    assert not log.send(3, "unheard") and log.lost == 1
    h.ifc.up()
    log.close()
    log.close()
    assert not log.send(3, "closed") and log.lost == 2
    assert len(h.stack.udp.endpoints) == 1


def test_wrong_arguments():
    h, log = world()
    for call in (
        lambda: log.send(8, "x"),
        lambda: log.send(-1, "x"),
        lambda: Syslog("10.0.0.2", facility=24, stack=h.stack),
        lambda: Syslog("10.0.0.2", limit=100, stack=h.stack),
    ):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError("taken")
    assert not h.datagrams() and log.lost == 0


class Record:
    # What micropython-lib's logging hands to a handler.
    def __init__(self, level, text, name="oven"):
        self.levelno = level
        self.levelname = "L%d" % level
        self.name = name
        self.message = text


class Formatter:
    def format(self, record):
        return record.levelname + "/" + record.message


def test_a_handler_of_logging():
    h, log = world()
    for level, severity in ((50, 2), (45, 3), (40, 3), (30, 4), (20, 6), (10, 7), (0, 7)):
        log.emit(Record(level, "text"))
        m = message(h)
        assert m.startswith(b"<%d>1 " % (8 + severity)) and m.endswith(b" oven - text"), m
    log.setFormatter(Formatter())
    log.setLevel(30)
    log.emit(Record(20, "too little"))
    assert not h.datagrams()
    log.emit(Record(30, "enough"))
    log.flush()
    assert message(h).endswith(b"- L30/enough")


def test_a_clock_that_nobody_has_set():
    # RFC 5424 6.2.3: the NILVALUE.
    real = syslog.time
    h, log = world()

    class Clock:
        now = (2000, 1, 1, 0, 0, 5, 5, 1)

        @staticmethod
        def gmtime():
            return Clock.now

    syslog.time = Clock
    try:
        stamp = _timestamp
        assert stamp() == "-"
        Clock.now = (2031, 2, 3, 4, 5, 6, 0, 34)
        assert stamp() == "2031-02-03T04:05:06Z"
    finally:
        syslog.time = real


_timestamp = syslog.timestamp
