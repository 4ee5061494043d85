"""Hostile programs that reach for the outside: files, environment, network, processes, signals, timers, limits, other memory.

Each returns only if it got what it wanted, so `ok` is a hole.
"""

from __future__ import annotations

from attacking import HELD, Attack

_CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    found = libc.syscall(*arguments)
    if found < 0:
        raise OSError(ctypes.get_errno())
    return found
"""


def _attempts(category: str, module: str, texts: tuple[str, ...], accept: tuple[str, ...] = HELD) -> list[Attack]:
    """One program for each expression, with a module at hand."""
    prelude = "\n    ".join(f"import {name}" for name in module.split())
    return [
        Attack(
            f"{category}-{index:02d}-{text.partition('(')[0].replace('.', '-')}", f"def f():\n    {prelude}\n    return str({text})", accept
        )
        for index, text in enumerate(texts)
    ]


def _syscalls(category: str, numbers: dict[str, int], accept: tuple[str, ...] = HELD) -> list[Attack]:
    """Raw system calls of x86_64 with small arguments; on other machines the numbers mean other calls, which must be held too."""
    return [
        Attack(f"{category}-raw-{name}", f"{_CALL}\ndef f(): return call({number}, 0, 0, 0, 0, 0, 0)", accept)
        for name, number in numbers.items()
    ]


FILES = [
    *_attempts(
        "fs",
        "os",
        (
            "os.stat('/etc/passwd').st_size", "os.lstat('/')", "os.statvfs('/')", "os.scandir('/')", "os.readlink('/proc/self/exe')",
            "os.getcwd()", "os.chdir('/')", "os.chroot('/')", "os.mkdir('@CANARY@/d')", "os.rmdir('@CANARY@')", "os.mkfifo('@CANARY@/p')",
            "os.mknod('@CANARY@/n')", "os.symlink('/etc/passwd', '@CANARY@/l')", "os.link('@CANARY@/secret.txt', '@CANARY@/h')",
            "os.rename('@CANARY@/secret.txt', '@CANARY@/r')", "os.replace('@CANARY@/secret.txt', '@CANARY@/r')", "os.chmod('@CANARY@', 0)",
            "os.chown('@CANARY@', 0, 0)", "os.truncate('@CANARY@/secret.txt', 0)", "os.utime('@CANARY@/secret.txt')",
            "os.setxattr('@CANARY@/secret.txt', 'user.a', b'1')", "os.getxattr('@CANARY@/secret.txt', 'user.a')", "os.memfd_create('x')",
            "os.open('@CANARY@', os.O_TMPFILE | os.O_RDWR)", "os.open('/proc/self/mem', os.O_RDWR)", "os.open('/proc/self/environ', 0)",
            "os.open('/proc/1/root', os.O_PATH)", "os.open('/dev/shm/x', os.O_CREAT | os.O_RDWR)", "os.open('/dev/tty', os.O_RDWR)",
            "os.dup(3)", "os.dup2(3, 9)", "os.pipe()", "os.eventfd(0)", "os.openpty()", "os.fdopen(3, 'rb').read(1)", "os.sync()",
            "[os.read(fd, 1) for fd in range(16)]", "[os.fstat(fd) for fd in range(16)][0]", "[os.close(fd) for fd in range(16)]",
            "[os.lseek(fd, 0, 0) for fd in range(16)]", "os.sendfile(3, 4, 0, 9)", "os.copy_file_range(3, 4, 9)", "os.splice(3, 4, 9)",
            "os.fchdir(3)", "os.fsync(3)", "os.ftruncate(3, 0)", "os.posix_fallocate(3, 0, 9)", "os.writev(3, [b'x'])", "os.pread(3, 1, 0)",
            "os.walk('/').__next__()[1] or 1 // 0", "os.access('/etc/passwd', 4) or 1 // 0", "os.umask(0) or os.mkdir('@CANARY@/u')",
        ),
    ),
    *_attempts(
        "fs",
        "io codecs linecache tokenize pathlib shutil tempfile glob fcntl mmap importlib.machinery zipimport sqlite3 dbm.dumb runpy sys",
        (
            "io.FileIO('/etc/passwd').read(1)", "io.open('@CANARY@/w', 'w')", "io.open_code('/etc/passwd')", "codecs.open('/etc/passwd').read(1)",
            "linecache.getlines('/etc/passwd')[0]", "tokenize.open('/etc/passwd').read(1)", "pathlib.Path('@CANARY@/t').touch()",
            "pathlib.Path('@CANARY@/secret.txt').read_text()", "shutil.rmtree('@CANARY@')", "shutil.copy('/etc/passwd', '@CANARY@/c')",
            "tempfile.mkdtemp()", "tempfile.TemporaryFile().write(b'x')", "glob.glob('/*')[0]", "fcntl.fcntl(3, 1024)", "fcntl.ioctl(3, 0x5401)",
            "mmap.mmap(3, 4096)", "importlib.machinery.SourceFileLoader('x', '/etc/passwd').get_data('/etc/passwd')",
            "zipimport.zipimporter('@CANARY@/z.zip')", "sqlite3.connect('@CANARY@/db').execute('create table t(a)')", "dbm.dumb.open('@CANARY@/d', 'n')",
            "runpy.run_path('@CANARY@/secret.txt')", "sys.path.insert(0, '@CANARY@') or __import__('secret')", "sys.stdout.buffer.raw",
            "sys.__stdout__.write('x')", "io.TextIOWrapper(io.FileIO(3, 'w')).write('x' * 99)",
        ),
    ),
    *_syscalls(
        "fs",
        {
            "mount": 165, "pivot_root": 155, "name_to_handle_at": 303, "open_by_handle_at": 304, "fanotify_init": 300, "inotify_init1": 294,
            "pipe2": 293, "eventfd2": 290, "signalfd4": 289, "epoll_create1": 291, "open_tree": 428, "fsopen": 430, "memfd_secret": 447,
            "quotactl": 179, "swapon": 167, "acct": 163, "vmsplice": 278, "tee": 276, "shm_open_key": 29, "msgget": 68, "semget": 64, "mq_open": 240,
            "fchmodat2": 452, "chown": 92, "creat": 85, "landlock_add_rule": 445,
        },
    ),
    Attack("fs-openat2", f"{_CALL}\ndef f(): return call(437, -100, b'/etc/passwd', ctypes.create_string_buffer(24), 24)"),
    Attack("fs-statx", f"{_CALL}\ndef f(): return call(332, -100, b'/etc/passwd', 0, 0xFFF, ctypes.create_string_buffer(256))"),
    Attack("fs-fopen", "import ctypes\ndef f(): return 1 // ctypes.CDLL(None).fopen(b'@CANARY@/w', b'w')"),
    Attack("fs-dlopen", "import ctypes\ndef f(): return str(ctypes.CDLL('@CANARY@/secret.txt'))"),
    Attack("fs-import-a-file", "import sys\nsys.path[:] = ['@CANARY@', '/usr/lib/python3', '/tmp']\ndef f():\n    import secret\n    return 1"),
    Attack("fs-write-channel", "import os\ndef f():\n    for fd in range(64):\n        try: os.write(fd, b'x' * 50)\n        except OSError: pass\n    raise OSError"),
]  # fmt: skip

ENVIRONMENT = [
    Attack("env-environ", "import os\ndef f(): return dict(os.environ)", (*HELD, "ok")),
    Attack("env-getenv", "import ctypes\ng = ctypes.CDLL(None).getenv\ng.restype = ctypes.c_char_p\ndef f(): return g(b'AZR_CANARY_ENV')", (*HELD, "ok"), output="None"),
    Attack("env-block", "import ctypes\ndef f():\n    e = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\n    return [e[i] for i in range(2)]", (*HELD, "ok")),
    Attack("env-expand", "import os\ndef f(): return os.path.expandvars('$AZR_CANARY_ENV $HOME $PATH')", (*HELD, "ok"), output="'$AZR_CANARY_ENV $HOME $PATH'"),
    Attack("env-argv", "import sys\ndef f(): return [a for a in sys.argv + sys.orig_argv if 'canary' in a] + sys.path[:0]", (*HELD, "ok"), output="[]"),
    Attack("env-user", "import pwd, os\ndef f(): return pwd.getpwuid(os.getuid()).pw_name"),
    Attack("env-host", "import socket\ndef f(): return socket.gethostname()"),
]  # fmt: skip

_KINDS = "import socket\ndef f():\n    s = socket.socket({0})\n    return 1"
NETWORK = [
    *(
        Attack(f"net-{name}", _KINDS.format(kind))
        for name, kind in {
            "tcp": "2, 1", "udp": "2, 2", "raw": "2, 3, 1", "six": "10, 1", "unix-datagram": "1, 2", "unix-packet": "1, 5", "netlink": "16, 3, 0",
            "packet": "17, 3", "vsock": "40, 1", "crypto": "38, 5", "bluetooth": "31, 1, 3", "mptcp": "2, 1, 262",
        }.items()
    ),
    *_attempts(
        "net",
        "socket select ssl urllib.request http.client asyncio socketserver",
        (
            "socket.socketpair()", "socket.getaddrinfo('localhost', 80)", "socket.gethostbyname('example.com')", "socket.create_server(('', 0))",
            "socket.create_connection(('127.0.0.1', 22), 1)", "socket.fromfd(3, 1, 5)", "socket.socket(fileno=3).send(b'x')", "socket.if_nameindex()",
            "socket.sethostname('x')", "select.epoll()", "select.select([3], [], [], 1)", "select.poll().poll(10)",
            "urllib.request.urlopen('http://127.0.0.1/')", "http.client.HTTPConnection('127.0.0.1').request('GET', '/')", "asyncio.run(asyncio.sleep(0))",
            "ssl.get_server_certificate(('127.0.0.1', 443))",
        ),
    ),
    *_syscalls("net", {"socket": 41, "connect": 42, "accept": 43, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "bind": 49, "socketpair": 53, "sendmmsg": 307}),
    Attack("net-send-raw", f"{_CALL}\ndef f(): return [call(44, fd, b'x', 1, 0, 0, 0) for fd in range(16)]"),
]  # fmt: skip

PROCESSES = [
    *_attempts(
        "proc",
        "os subprocess multiprocessing multiprocessing.popen_fork threading _thread pty signal",
        (
            "os.fork()", "os.forkpty()", "os.posix_spawn('/bin/true', ['true'], {})", "os.execve('/bin/true', ['true'], {})", "os.popen('id').read()",
            "os.spawnlp(os.P_WAIT, 'true', 'true')", "subprocess.run(['/bin/true'])", "subprocess.check_output('id', shell=True)", "pty.spawn('/bin/true')",
            "multiprocessing.Process(target=print).start()", "multiprocessing.Pool(1)", "threading.Thread(target=print).start()",
            "_thread.start_new_thread(print, ())", "threading.Timer(9, print).start()", "os.setsid()", "os.setpgid(0, 0)", "os.nice(-5)",
            "os.setpriority(0, 0, 0)", "os.sched_setaffinity(0, {0})", "os.setuid(0)", "os.setgroups([])", "os.wait()", "os.getpgid(0)",
            "os.pidfd_open(1)", "os.getppid() and os.kill(os.getppid(), 0)", "os.ptrace", "os.cpu_count() and os.getloadavg()", "os.times() and os.wait3(0)",
        ),
    ),
    *_syscalls(
        "proc",
        {
            "fork": 57, "vfork": 58, "execveat": 322, "ptrace": 101, "unshare": 272, "setns": 308, "kcmp": 312, "process_vm_readv": 310,
            "process_vm_writev": 311, "pidfd_getfd": 438, "process_madvise": 440, "setresuid": 117, "capset": 126, "personality": 135, "bpf": 321,
            "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "keyctl": 250, "reboot": 169, "init_module": 175, "kexec_load": 246,
            "modify_ldt": 154, "ioperm": 173, "arch_prctl": 158, "seccomp": 317, "prctl": 157, "membarrier": 324, "futex_waitv": 449, "syslog": 103,
            "sched_setscheduler": 144, "ioprio_set": 251, "setdomainname": 171, "rseq": 334, "wait4": 61, "clone3": 435,
        },
    ),
    Attack("proc-clone-thread", f"{_CALL}\ndef f(): return call(56, 0x50F00, 0, 0, 0, 0)"),
    Attack("proc-clone-namespace", f"{_CALL}\ndef f(): return call(56, 0x10000011, 0, 0, 0, 0)"),
    Attack("proc-pthread", "import ctypes\ndef f():\n    l = ctypes.CDLL(None)\n    return 1 // (l.pthread_create(ctypes.byref(ctypes.c_long()), None, l.abort, None) == 0)"),
    Attack("proc-libc-system", "import ctypes\ndef f(): return 1 // (ctypes.CDLL(None).system(b'touch @CANARY@/pwn') == 0)"),
    Attack("proc-code-page", "import ctypes\ndef f():\n    l = ctypes.CDLL(None)\n    l.mmap.restype = ctypes.c_long\n    return 1 // (l.mmap(0, 4096, 7, 0x22, -1, 0) > 0)"),
    Attack("proc-code-page-later", "import ctypes, mmap\ndef f():\n    m = mmap.mmap(-1, 4096)\n    a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n    return 1 // (ctypes.CDLL(None).mprotect(ctypes.c_void_p(a), 4096, 5) == 0)"),
    Attack("proc-x32", f"{_CALL}\ndef f(): return call(0x40000000 + 57)"),
    Attack("proc-thread-in-finaliser", "import _thread\nclass D:\n    def __del__(self): _thread.start_new_thread(print, ())\ndef f():\n    D()\n    raise OSError"),
]  # fmt: skip

_LOOP = "\n    while True: pass"
SIGNALS = [
    *_attempts(
        "sig",
        "os signal faulthandler",
        (
            "os.kill(0, 9)", "os.kill(-1, 15)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 19)", "signal.raise_signal(9)", "signal.raise_signal(17)",
            "signal.alarm(1)", "signal.setitimer(0, 0)", "signal.pause()", "signal.sigwait({10})", "signal.pthread_kill(signal.pthread_self if 0 else 1, 0)",
            "signal.signal(14, signal.SIG_IGN)", "signal.signal(27, lambda *a: None)", "signal.pthread_sigmask(0, range(1, 65))", "signal.siginterrupt(14, True)",
            "signal.sigtimedwait({10}, 1)", "signal.pidfd_send_signal(3, 9)", "faulthandler.dump_traceback_later(9, True, 3)",
            "faulthandler.register(10, 3)", "faulthandler.enable(file=3)",
        ),
        (*HELD, "crash"),
    ),
    *_syscalls(
        "sig",
        {
            "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "pause": 34, "alarm": 37, "timer_create": 222,
            "timerfd_create": 283, "setitimer": 38, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigsuspend": 130, "sigaltstack": 131, "restart_syscall": 219,
        },
        (*HELD, "crash"),
    ),
    Attack("sig-stop-parent", "import os\ndef f():\n    os.kill(os.getppid(), 19)\n    return 1"),
    Attack("sig-outlive-cpu", f"import signal\ndef f():\n    try: signal.setitimer(2, 0)\n    except BaseException: pass{_LOOP}", (*HELD, "timeout")),
    Attack("sig-outlive-mask", f"import signal\ndef f():\n    try: signal.pthread_sigmask(0, [14, 24, 27])\n    except BaseException: pass{_LOOP}", (*HELD, "timeout")),
    Attack("sig-outlive-limit", f"import resource\ndef f():\n    resource.setrlimit(resource.RLIMIT_CPU, (99, 99)){_LOOP}", (*HELD, "timeout")),
    Attack("sig-raise-memory", "import resource\ndef f():\n    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n    return 1"),
    Attack("sig-abort", "import os\ndef f(): os.abort()", ("crash", *HELD)),
    Attack("sig-segv", "import ctypes\ndef f(): return ctypes.string_at(1)", ("crash", *HELD)),
    Attack("sig-ill", "import ctypes\ndef f(): return ctypes.CFUNCTYPE(None)(id(f))()", ("crash", *HELD)),
    Attack("sig-closure", "import ctypes\ndef f(): return ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 5)()", ("ok", "crash", "memory", *HELD)),
    Attack("sig-sleep", "import time\ndef f(): time.sleep(99)", (*HELD, "timeout")),
    Attack("sig-lock", "import _thread\ndef f():\n    lock = _thread.allocate_lock()\n    lock.acquire()\n    lock.acquire()", (*HELD, "timeout")),
    Attack("sig-event", "import threading\ndef f(): return threading.Event().wait(60)", (*HELD, "timeout")),
]  # fmt: skip

OUTSIDE = [*FILES, *ENVIRONMENT, *NETWORK, *PROCESSES, *SIGNALS]
assert len({attack.id for attack in OUTSIDE}) == len(OUTSIDE)
