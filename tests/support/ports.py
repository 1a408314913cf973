"""Free ports on loopback."""

import socket


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def free_tens() -> int:
    """A multiple of ten with forty free ports from it on."""
    return free_row(40)


def free_row(count: int) -> int:
    """The first of so many free ports in a row."""
    for begin in range(21_000, 29_000, 40):
        if all(map(_is_free, range(begin, begin + count))):
            return begin
    raise AssertionError(f"no {count} ports are free in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
