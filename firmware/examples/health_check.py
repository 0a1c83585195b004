# A load balancer's question, asked with ICMP: which of these hosts are up, and how far away? One
# lost echo is no failure: a host is down after three in a row, and up again after two answers.
#
#   viperip sim firmware/examples/health_check.py
#   viperip sim firmware/examples/health_check.py 10.77.0.1 10.77.0.99 ROUNDS=10
import sys

import viperip

FALL = 3
RISE = 2


class Backend:
    def __init__(self, host):
        self.host = host
        self.up = None  # not known so far
        self.streak = 0  # answers in a row, or failures below 0
        self.ms = 0.0

    def ask(self):
        try:
            answer = viperip.ping(self.host, 1, timeout_ms=200, quiet=True)[0]
        except OSError as e:  # a name without an address
            answer = {"error": str(e)}
        if "time_ms" in answer:
            self.streak = max(self.streak, 0) + 1
            # An average that forgets: an eighth of it is the last answer.
            self.ms += (answer["time_ms"] - self.ms) / 8 if self.ms else answer["time_ms"]
        else:
            self.streak = min(self.streak, 0) - 1
        was = self.up
        if self.streak >= RISE:
            self.up = True
        elif self.streak <= -FALL:
            self.up = False
        if was is not self.up:
            print("%s is %s" % (self.host, "up" if self.up else "down"))


rounds = 4
hosts = []
for word in sys.argv[1:]:
    if word.startswith("ROUNDS="):
        rounds = int(word[7:])
    else:
        hosts.append(word)
backends = [Backend(h) for h in hosts or ["10.77.0.1", "10.77.0.99", "127.0.0.1"]]
for _ in range(rounds):
    for b in backends:
        b.ask()
for b in sorted(backends, key=lambda b: b.ms):
    print("%-15s %-7s %s" % (b.host, {True: "up", False: "down"}.get(b.up, "unknown"),
                             "%.2f ms" % b.ms if b.up else "-"))  # fmt: skip
