"""Take more memory than allowed in System V segments that nobody has attached."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_int
libc.shmdt.argtypes = (ctypes.c_void_p,)
SIZE = 10_000_000
made = []
try:
    for _ in range(40):
        segment = libc.shmget(0, SIZE, 0o600 | 0o1000)
        if segment < 0:
            raise SystemExit("no more segments")
        made.append(segment)
        place = libc.shmat(segment, None, 0)
        ctypes.memset(place, 1, SIZE)
        libc.shmdt(place)
    print("all written")
finally:
    for segment in made:
        libc.shmctl(segment, 0, None)
