# iperf3: measure throughput against the iperf3 program, as its client and as its server.


def client(host, **options):
    """Run one test against an iperf3 server; see client.run()."""
    from .client import run

    return run(host, **options)


def server(**options):
    """Serve iperf3 clients; see server.serve()."""
    from .server import serve

    return serve(**options)
