"""What libunbound does with the same names, where it is installed.

Run by the system's Python as ``python3 peers.py libunbound HOST PORT ANCHORS NAMES``, since its binding is there.
"""

import sys
import time


def libunbound(host: str, port: str, anchors: str, names: str) -> None:
    """Resolve every name asynchronously with validation; print names a second of wall time and of processor time."""
    import unbound  # type: ignore[import-not-found]

    context = unbound.ub_ctx()
    context.set_fwd(f"{host}@{port}")
    context.set_option("do-not-query-localhost:", "no")
    context.set_option("outgoing-range:", "4096")
    context.set_option("num-queries-per-thread:", "4096")
    context.add_ta_file(anchors)
    context.set_async(True)
    with open(names, encoding="utf-8") as file:
        wanted = [line.strip() for line in file]
    secure = [0]

    def done(data: object, status: int, result: object) -> None:
        secure[0] += int(status == 0 and bool(result.secure))  # type: ignore[attr-defined]

    wall, cpu = time.perf_counter(), time.process_time()
    waiting = 0
    for name in wanted:
        context.resolve_async(name, None, done, 1, 1)
        waiting += 1
        if waiting >= 256:
            context.wait()
            waiting = 0
    context.wait()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(len(wanted) / wall, len(wanted) / cpu, secure[0])


if __name__ == "__main__":
    {"libunbound": libunbound}[sys.argv[1]](*sys.argv[2:])
