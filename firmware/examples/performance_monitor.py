# What does a service feel like from here? Ask it many times; average, 95th percentile, throughput
# and success rate. A mean hides the slow answers that users complain about, the percentile shows
# them.
#
#   python3 -m http.server 8000         in a terminal of its own: something to measure
#   viperip sim firmware/examples/performance_monitor.py 10.77.0.1 8000
#   viperip sim firmware/examples/performance_monitor.py 10.77.0.1 8000 50 /no-such-page
import socket
import sys
import time


def request(host, port, path):
    """Fetch a page by HTTP/1.0; the bytes that came. OSError, ValueError: it failed."""
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((host, port))
        s.sendall(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, host)).encode())
        status = s.readline().split()
        if len(status) < 2 or status[1] != b"200":
            raise ValueError("status %s" % (status[1:2] or "missing"))
        n = 0
        while True:
            part = s.recv(4096)
            if not part:
                return n
            n += len(part)
    finally:
        s.close()


def percentile(values, p):
    """The smallest of the sorted values that p percent of all do not exceed (nearest rank)."""
    return values[max(0, -(-len(values) * p // 100) - 1)]


def measure(host, port, path, count):
    times, received, failures = [], 0, {}
    start = time.ticks_ms()
    for _ in range(count):
        begin = time.ticks_us()
        try:
            received += request(host, port, path)
            times.append(time.ticks_diff(time.ticks_us(), begin) / 1000)
        except (OSError, ValueError) as e:
            failures[str(e)] = failures.get(str(e), 0) + 1
    ms = max(time.ticks_diff(time.ticks_ms(), start), 1)
    print("success  %d of %d (%d %%)" % (len(times), count, 100 * len(times) // count))
    if times:
        times.sort()
        print("average  %.2f ms" % (sum(times) / len(times)))
        print("p95      %.2f ms, worst %.2f ms" % (percentile(times, 95), times[-1]))
        print("through  %.1f requests/s, %.1f KB/s" % (1000 * len(times) / ms, received / ms))
    for why in failures:
        print("failed   %d times: %s" % (failures[why], why))


if len(sys.argv) < 3:
    sys.exit("which service? performance_monitor.py HOST PORT [COUNT [PATH]]")
count = int(sys.argv[3]) if len(sys.argv) > 3 else 20
measure(sys.argv[1], int(sys.argv[2]), sys.argv[4] if len(sys.argv) > 4 else "/", count)
