"""A hundred things that tests do on an ordinary machine, each a script of its own for Python 3.6 and later.

A script that needs what a machine lacks (a compiler, git) leaves with 77, as Automake has it. Folders: it works beside
`kept/old`, a file that is there before.
"""

SKIP = 77

HABITS = {
    # -- processes
    "subprocess": """
import subprocess, sys
assert subprocess.check_output([sys.executable, '-c', 'print(7)']) == b'7\\n'
""",
    "subprocess shell": "import subprocess; assert subprocess.check_output('yes | head -1', shell=True) == b'y\\n'",
    "subprocess timeout": """
import subprocess, sys
try:
    subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], timeout=0.5)
except subprocess.TimeoutExpired:
    raise SystemExit(0)
raise SystemExit('it ended')
""",
    "fork and wait": """
import os
child = os.fork()
if not child: os._exit(3)
assert os.waitpid(child, 0)[1] >> 8 == 3
""",
    "daemon that double forks": """
import os, time
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, b'begun')
    os._exit(0)
os.wait()
assert os.read(reading, 5) == b'begun'
""",
    "multiprocessing by fork": """
import multiprocessing as m
with m.get_context('fork').Pool(2) as p:
    assert p.map(abs, [-1]) == [1]
""",
    "multiprocessing by spawn": """
import multiprocessing as m
if __name__ == '__main__':
    with m.get_context('spawn').Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
""",
    "multiprocessing by forkserver": """
import multiprocessing as m
if __name__ == '__main__':
    with m.get_context('forkserver').Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
""",
    "a manager's list": """
import multiprocessing as m
if __name__ == '__main__':
    with m.Manager() as manager:
        shared = manager.list([1])
        child = m.Process(target=shared.append, args=(2,))
        child.start(); child.join()
        assert list(shared) == [1, 2]
""",
    "a queue of processes": """
import multiprocessing as m
if __name__ == '__main__':
    queue = m.Queue()
    child = m.Process(target=queue.put, args=(1,))
    child.start()
    assert queue.get(timeout=60) == 1
    child.join()
""",
    "a pipe of processes": """
import multiprocessing as m
if __name__ == '__main__':
    one, other = m.Pipe()
    child = m.Process(target=other.send, args=('x',))
    child.start()
    assert one.recv() == 'x'
    child.join()
""",
    "a listener and its client": """
import threading
from multiprocessing.connection import Client, Listener
with Listener(authkey=b'x') as listener:
    def call():
        with Client(listener.address, authkey=b'x') as client: client.send('hello')
    thread = threading.Thread(target=call); thread.start()
    with listener.accept() as connection: assert connection.recv() == 'hello'
    thread.join()
""",
    "shared memory": """
import sys
if sys.version_info < (3, 8): raise SystemExit(77)
from multiprocessing import shared_memory
made = shared_memory.SharedMemory(create=True, size=1 << 20)
made.buf[0] = 7
other = shared_memory.SharedMemory(made.name)
assert other.buf[0] == 7
other.close(); made.close(); made.unlink()
""",
    "a value and an array of processes": """
import multiprocessing as m
a = m.Array('i', [1, 2])
v = m.Value('d', 1.5)
assert a[1] + v.value == 3.5
""",
    "locks, semaphores, barriers": """
import multiprocessing as m
def meet(barrier): barrier.wait(60)
if __name__ == '__main__':
    barrier = m.get_context('fork').Barrier(2)
    child = m.get_context('fork').Process(target=meet, args=(barrier,)); child.start()
    barrier.wait(60); child.join()
    with m.Lock(), m.Semaphore(2): pass
""",
    "a pool of processes for futures": """
from concurrent.futures import ProcessPoolExecutor
if __name__ == '__main__':
    with ProcessPoolExecutor(2) as pool: assert list(pool.map(abs, [-1, 2])) == [1, 2]
""",
    "a pool of threads for futures": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(9) as p:
    assert list(p.map(abs, [-1])) == [1]
""",
    "signals and alarms": """
import signal
heard = []
signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
assert heard
""",
    "killing a group": """
import os, signal, subprocess
child = subprocess.Popen('sleep 60 & sleep 60', shell=True, start_new_session=True)
os.killpg(child.pid, signal.SIGTERM)
assert child.wait() == -signal.SIGTERM
""",
    "priorities and processors": """
import os
os.nice(1)
assert os.sched_getaffinity(0)
os.sched_setaffinity(0, os.sched_getaffinity(0))
""",
    "limits of resources": """
import resource as r
soft, hard = r.getrlimit(r.RLIMIT_NOFILE)
r.setrlimit(r.RLIMIT_NOFILE, (64, hard))
""",
    "tracing one's child": """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if child == 0:
    libc.ptrace(0, 0, 0, 0); os.kill(os.getpid(), signal.SIGSTOP); os._exit(3)
assert os.WSTOPSIG(os.waitpid(child, 0)[1]) == signal.SIGSTOP
assert libc.ptrace(7, child, 0, 0) == 0
assert os.waitpid(child, 0)[1] >> 8 == 3
""",
    "a handle of a process": """
import os, select
if not hasattr(os, 'pidfd_open'): raise SystemExit(77)
child = os.fork()
if not child: os._exit(0)
handle = os.pidfd_open(child)
select.select([handle], [], []); os.waitpid(child, 0)
""",
    "what /proc says of oneself": """
import os
assert open('/proc/self/status').read()
assert os.readlink('/proc/self/exe')
open('/proc/meminfo').read()
""",
    "memory from mmap": "import mmap; m = mmap.mmap(-1, 1 << 24); m[:2] = b'ab'; assert m[:2] == b'ab'",
    "huge virtual memory": """
import mmap
m = mmap.mmap(-1, 1 << 36, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
m[0] = 1
""",
    "a file in memory": """
import os
if not hasattr(os, 'memfd_create'): raise SystemExit(77)
f = os.memfd_create('x')
os.write(f, b'x')
""",
    # -- files
    "a temporary file": """
import tempfile
with tempfile.NamedTemporaryFile('w+') as f:
    f.write('x')
    f.flush()
    assert open(f.name).read() == 'x'
""",
    "a temporary folder": """
import os, tempfile
with tempfile.TemporaryDirectory() as d:
    open(os.path.join(d, 'x'), 'w').close()
""",
    "a literal /tmp": "open('/tmp/habit-of-a-test', 'w').write('x'); import os; os.remove('/tmp/habit-of-a-test')",
    "a literal /var/tmp": """
open('/var/tmp/habit-of-a-test', 'w').write('x')
import os
os.remove('/var/tmp/habit-of-a-test')
""",
    "a file beside the test": """
open('new', 'w').write('x')
assert open('new').read() == 'x'
import os
os.remove('new')
""",
    "a file in an existing folder": "open('kept/new', 'w').write('x'); import os; os.remove('kept/new')",
    "a folder beside the test": """
import os
os.makedirs('made/deep/er', exist_ok=True)
os.removedirs('made/deep/er')
""",
    "appending to an existing file": """
open('kept/old', 'a').write('more')
assert open('kept/old').read().endswith('more')
""",
    "replacing an existing file": """
import os
open('kept/x', 'w').write('y')
os.replace('kept/x', 'kept/old')
assert open('kept/old').read() == 'y'
""",
    "deleting an existing file": """
import os
open('kept/gone', 'w').close()
os.remove('kept/gone')
assert not os.path.exists('kept/gone')
""",
    "modes": """
import os, tempfile
d = tempfile.mkdtemp()
os.chmod(d, 0o700)
assert os.stat(d).st_mode & 0o777 == 0o700
""",
    "times": "import os, tempfile; d = tempfile.mkdtemp(); os.utime(d, (5, 5)); assert os.stat(d).st_mtime == 5",
    "times of an existing file": "import os; os.utime('kept/old', (5, 5)); assert os.stat('kept/old').st_mtime == 5",
    "copying with everything": "import os, shutil; shutil.copy2('kept/old', 'kept/copy'); os.remove('kept/copy')",
    "copying a tree": "import shutil, tempfile; shutil.copytree('kept', tempfile.mkdtemp() + '/x')",
    "links": """
import os, tempfile
d = tempfile.mkdtemp()
os.symlink('x', d + '/l')
open(d + '/f', 'w')
os.link(d + '/f', d + '/h')
""",
    "extended attributes": """
import os, tempfile
f = tempfile.mkstemp()[1]
os.setxattr(f, 'user.x', b'1')
assert os.getxattr(f, 'user.x') == b'1'
""",
    "locks of files": """
import fcntl, tempfile
with tempfile.TemporaryFile() as file:
    fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)
""",
    "a named pipe": """
import os, tempfile, threading
path = tempfile.mkdtemp() + '/pipe'
os.mkfifo(path)
threading.Thread(target=lambda: open(path, 'w').write('x')).start()
assert open(path).read() == 'x'
""",
    "a file with holes": """
import os, tempfile
with tempfile.TemporaryFile() as f:
    f.truncate(20 << 30)
    assert os.fstat(f.fileno()).st_size == 20 << 30
""",
    "a map of a sparse file": """
import mmap, tempfile
with tempfile.TemporaryFile() as f:
    f.truncate(20 << 30)
    m = mmap.mmap(f.fileno(), 20 << 30)
    m[1 << 34] = 7
""",
    "renaming a folder": """
import os, tempfile
d = tempfile.mkdtemp()
os.mkdir(d + '/a')
os.rename(d + '/a', d + '/b')
""",
    "renaming from /tmp to here": """
import os, shutil, tempfile
f = tempfile.mkstemp()[1]
shutil.move(f, 'moved')
os.remove('moved')
""",
    "an unlinked open file": """
import os, tempfile
d, p = tempfile.mkstemp()
os.unlink(p)
os.write(d, b'x')
assert os.fstat(d).st_size == 1
""",
    "a deep folder": "import os, tempfile; d = os.path.join(tempfile.mkdtemp(), *['deep'] * 200); os.makedirs(d)",
    "a thousand files": """
import os, tempfile
d = tempfile.mkdtemp()
[open('%s/%d' % (d, n), 'w').close() for n in range(1000)]
""",
    "names that aren't ASCII": """
import os, tempfile
p = tempfile.mkdtemp() + '/\\u00e9\\u4e2d.txt'
open(p, 'w').close()
assert os.path.exists(p)
""",
    "space on the disk": "import shutil; assert shutil.disk_usage('/tmp').free > 0",
    "syncing": """
import os, tempfile
with tempfile.TemporaryFile() as f:
    f.write(b'x')
    f.flush()
    os.fsync(f.fileno())
""",
    "/dev/null, zero, full, urandom": """
open('/dev/null', 'w').write('x')
assert open('/dev/zero', 'rb').read(2) == b'\\0\\0' and len(open('/dev/urandom', 'rb').read(2)) == 2
try:
    with open('/dev/full', 'w') as full: full.write('x')
except OSError:
    raise SystemExit(0)
raise SystemExit('it took it')
""",
    "/dev/stdout and stderr": """
open('/dev/stdout', 'w').write('x')
open('/dev/stderr', 'w').write('x')
open('/dev/fd/1', 'w').write('x')
""",
    "a file in /dev/shm": "import os; open('/dev/shm/habit', 'w').write('x'); os.remove('/dev/shm/habit')",
    "watching a folder": """
import ctypes, os, tempfile
libc = ctypes.CDLL(None)
watch, folder = libc.inotify_init(), tempfile.mkdtemp()
assert libc.inotify_add_watch(watch, folder.encode(), 0x100) > 0
open(folder + '/x', 'w').close()
assert os.read(watch, 4096)
""",
    # -- home, user, machine
    "a home that can be written": """
import pathlib
p = pathlib.Path.home() / '.habit'
p.mkdir()
(p / 'x').write_text('x')
(p / 'x').unlink()
p.rmdir()
""",
    "a cache in the home": "import os; os.makedirs(os.path.expanduser('~/.cache/habit/deep'), exist_ok=True)",
    "a home of somebody by name": """
import os, pwd
assert os.path.expanduser('~' + pwd.getpwuid(os.getuid()).pw_name) == pwd.getpwuid(os.getuid()).pw_dir
""",
    "the name of the user": "import getpass, os, pwd; assert getpass.getuser() == pwd.getpwuid(os.getuid()).pw_name",
    "the name of the group": "import grp, os; assert grp.getgrgid(os.getgid()).gr_name",
    "the name of the machine": """
import platform, socket
assert socket.gethostname() and platform.node() and platform.platform()
""",
    "processors": """
import os
assert os.cpu_count() >= 1
open('/proc/cpuinfo').read()
os.listdir('/sys/devices/system/cpu')
""",
    "a locale": """
import locale
locale.setlocale(locale.LC_ALL, '')
assert locale.getpreferredencoding(False).upper().replace('-', '') == 'UTF8'
""",
    "time zones": """
import os, time
os.environ['TZ'] = 'UTC'; time.tzset()
if os.path.isdir('/usr/share/zoneinfo'):
    try:
        from zoneinfo import ZoneInfo
    except ImportError:
        raise SystemExit(77)
    import datetime
    assert datetime.datetime(2026, 7, 1, tzinfo=ZoneInfo('Asia/Shanghai')).utcoffset().seconds == 8 * 3600
""",
    "local time": "import time; assert time.localtime().tm_year > 2020 and time.tzname[0]",
    "the name of the time zone": "import os; assert not os.path.islink('/etc/localtime') or 'zoneinfo' in os.readlink('/etc/localtime')",
    "clocks": """
import time
assert time.monotonic() and time.perf_counter() and time.process_time() >= 0
time.get_clock_info('time')
""",
    "randomness": """
import secrets, uuid
assert secrets.token_hex() != secrets.token_hex() and uuid.uuid1() and uuid.uuid4()
""",
    "certificates": "import ssl; assert ssl.create_default_context()",
    "types of files": "import mimetypes; assert mimetypes.guess_type('x.png')[0] == 'image/png'",
    "shared libraries": "import ctypes.util; assert ctypes.CDLL(ctypes.util.find_library('c') or 'libc.so.6')",
    # -- terminals
    "a pseudo-terminal": """
import os, pty
a, b = pty.openpty()
os.write(b, b'x')
assert os.read(a, 1) == b'x' and os.isatty(b) and os.ttyname(b)
""",
    "a program in a terminal": """
import os, pty
assert pty.spawn(['/bin/sh', '-c', 'test -t 0 && test -t 1 && : > /dev/tty']) == 0
""",
    "input that has an end": "import sys; assert sys.stdin is None or sys.stdin.read() == ''",
    # -- network
    "a server on the loopback": """
import socket, threading
server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen(5)
threading.Thread(target=lambda: server.accept()[0].sendall(b'hello')).start()
assert socket.create_connection(server.getsockname(), 60).recv(5) == b'hello'
""",
    "a server on IPv6's loopback": """
import socket, threading
try:
    server = socket.socket(socket.AF_INET6); server.bind(('::1', 0)); server.listen(5)
except OSError:
    raise SystemExit(77)
threading.Thread(target=lambda: server.accept()[0].sendall(b'hello')).start()
assert socket.create_connection(server.getsockname()[:2], 60).recv(5) == b'hello'
""",
    "a server on every address": """
import socket
s = socket.socket()
s.bind(('', 0))
s.listen(5)
socket.create_connection(('localhost', s.getsockname()[1]), 60)
""",
    "datagrams on the loopback": """
import socket
a = socket.socket(type=socket.SOCK_DGRAM)
a.bind(('127.0.0.1', 0))
a.sendto(b'x', a.getsockname())
assert a.recv(1) == b'x'
""",
    "localhost has an address": """
import socket
assert socket.gethostbyname('localhost') == '127.0.0.1' and socket.getaddrinfo('localhost', 80)
""",
    "addresses for a family that there is": """
import socket
assert socket.getaddrinfo('localhost', 80, socket.AF_INET, flags=socket.AI_ADDRCONFIG)
""",
    "the machine's own address": """
import socket
assert socket.gethostbyname(socket.gethostname()) and socket.getfqdn()
""",
    "interfaces": "import socket; assert 'lo' in [name for _, name in socket.if_nameindex()]",
    "a pair of sockets": "import socket; a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'",
    "a socket in a file": """
import os, socket, tempfile
path = os.path.join(tempfile.mkdtemp(), 'socket')
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen(5)
client = socket.socket(socket.AF_UNIX); client.connect(path); client.send(b'x')
assert server.accept()[0].recv(1) == b'x'
""",
    "a web server and its client": """
import http.server, threading, urllib.request
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
assert urllib.request.urlopen('http://127.0.0.1:%d/kept/old' % server.server_port, timeout=60).status == 200
server.shutdown()
""",
    "a server of remote calls": """
import threading, xmlrpc.client, xmlrpc.server
server = xmlrpc.server.SimpleXMLRPCServer(('127.0.0.1', 0), logRequests=False)
server.register_function(abs)
threading.Thread(target=server.handle_request, daemon=True).start()
assert xmlrpc.client.ServerProxy('http://127.0.0.1:%d' % server.server_address[1]).abs(-1) == 1
""",
    "asyncio": "import asyncio; asyncio.new_event_loop().run_until_complete(asyncio.sleep(0.01))",
    "asyncio's subprocesses": """
import asyncio, sys
async def main():
    child = await asyncio.create_subprocess_exec(sys.executable, '-c', 'print(7)', stdout=asyncio.subprocess.PIPE)
    assert (await child.communicate())[0] == b'7\\n'
loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)
loop.run_until_complete(main())
""",
    "asyncio's servers": """
import asyncio
async def main():
    async def answer(reader, writer): writer.write(b'hello'); writer.close()
    server = await asyncio.start_server(answer, '127.0.0.1', 0)
    reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b'hello'
loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)
loop.run_until_complete(main())
""",
    "asyncio's server in a file": """
import asyncio, tempfile
async def main():
    path = tempfile.mkdtemp() + '/socket'
    async def answer(reader, writer): writer.write(b'hello'); writer.close()
    await asyncio.start_unix_server(answer, path)
    reader, _ = await asyncio.open_unix_connection(path)
    assert await reader.read() == b'hello'
loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)
loop.run_until_complete(main())
""",
    # -- databases, formats, tools
    "a database in a file": """
import sqlite3, tempfile
base = sqlite3.connect(tempfile.mkdtemp() + '/base'); base.execute('pragma journal_mode=wal')
base.execute('create table t (a)'); base.execute('insert into t values (1)'); base.commit()
assert base.execute('select a from t').fetchall() == [(1,)]
""",
    "a database beside the test": """
import os, shelve
with shelve.open('shelf') as s:
    s['x'] = 1
[os.remove(n) for n in os.listdir('.') if n.startswith('shelf')]
""",
    "packed files": """
import os, shutil, tempfile
d = tempfile.mkdtemp()
a = shutil.make_archive(d + '/a', 'gztar', 'kept')
shutil.unpack_archive(a, d)
""",
    "a log that rotates": """
import logging.handlers as h, tempfile, logging
x = h.RotatingFileHandler(tempfile.mkdtemp() + '/l', maxBytes=9, backupCount=2)
[x.emit(logging.makeLogRecord({'msg': 'hello'})) for _ in range(9)]
""",
    "a virtual environment": "import tempfile, venv; venv.create(tempfile.mkdtemp() + '/v', with_pip=False)",
    "compiled bytecode": """
import py_compile, shutil, tempfile
f = tempfile.mkdtemp() + '/m.py'
shutil.copy('kept/old', f)
open(f, 'w').write('x = 1')
py_compile.compile(f, doraise=True)
""",
    "importing what was just written": """
import importlib, sys, tempfile
d = tempfile.mkdtemp()
open(d + '/fresh.py', 'w').write('x = 1')
sys.path.insert(0, d)
importlib.invalidate_caches()
import fresh
assert fresh.x == 1
""",
    "coverage by trace": "import trace; t = trace.Trace(count=1, trace=0); t.runfunc(abs, -1); t.results()",
    "profiling": """
import cProfile, tempfile
p = cProfile.Profile()
p.runcall(sorted, [2, 1])
p.dump_stats(tempfile.mkstemp()[1])
""",
    "a faulty program's traceback": """
import faulthandler, tempfile
with tempfile.TemporaryFile() as f:
    faulthandler.dump_traceback(f)
""",
    "pytest within": """
import subprocess, sys, tempfile
file = tempfile.mkdtemp() + '/test_it.py'
open(file, 'w').write('def test_it(tmp_path): (tmp_path / "x").write_text("x")')
assert subprocess.call([sys.executable, '-m', 'pytest', '-q', file]) == 0
""",
    "a console script": """
import os, shutil, sys
assert shutil.which('pytest', path=os.environ['PATH'] + ':' + os.path.dirname(sys.executable))
""",
    "git": """
import os, shutil, subprocess, tempfile
if not shutil.which('git'): raise SystemExit(77)
folder = tempfile.mkdtemp()
def git(*words): subprocess.check_call(['git', '-c', 'user.name=x', '-c', 'user.email=x@x', *words], cwd=folder)
git('init', '-q'); open(folder + '/x', 'w').write('x'); git('add', 'x'); git('commit', '-qm', 'x'); git('log')
""",
    "compiling and running": """
import shutil, subprocess, tempfile
if not shutil.which('gcc'): raise SystemExit(77)
folder = tempfile.mkdtemp()
open(folder + '/a.c', 'w').write('int main() { return 3; }')
subprocess.check_call(['gcc', '-o', 'a', 'a.c'], cwd=folder)
assert subprocess.call([folder + '/a']) == 3
""",
    "a shell script that is made": """
import os, subprocess, tempfile
p = tempfile.mkdtemp() + '/s'
open(p, 'w').write('#!/bin/sh\\nexit 3\\n')
os.chmod(p, 0o755)
assert subprocess.call([p]) == 3
""",
    "a library that is made and loaded": """
import ctypes, shutil, subprocess, tempfile
if not shutil.which('gcc'): raise SystemExit(77)
folder = tempfile.mkdtemp()
open(folder + '/a.c', 'w').write('int seven() { return 7; }')
subprocess.check_call(['gcc', '-shared', '-fPIC', '-o', 'a.so', 'a.c'], cwd=folder)
assert ctypes.CDLL(folder + '/a.so').seven() == 7
""",
}  # fmt: skip
