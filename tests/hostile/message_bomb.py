"""Leave messages in so many System V queues that together they take much memory."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
message = ctypes.create_string_buffer(b"\1" + bytes(ctypes.sizeof(ctypes.c_long) - 1) + b"x" * 8000)
made = []
try:
    for _ in range(3000):
        queue = libc.msgget(0, 0o600 | 0o1000)
        if queue < 0:
            raise SystemExit("no more queues")
        made.append(queue)
        libc.msgsnd(queue, message, ctypes.c_size_t(8000), 0o4000)
    print("all written")
finally:
    for queue in made:
        libc.msgctl(queue, 0, None)
