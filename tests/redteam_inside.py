"""Hostile programs that turn on the executor itself: its time, memory, stack and channel, the next job, the gold values."""

from __future__ import annotations

from attacking import ANYTHING, HELD, SPENT, Attack

_SURVIVES = (*SPENT, "ok", "output_too_large")


def _endless(category: str, programs: dict[str, str], accept: tuple[str, ...] = SPENT) -> list[Attack]:
    """Bodies of f, with these modules at hand."""
    modules = (
        "import sys, re, json, functools, itertools, collections, decimal, fractions, copy, operator, string, zlib, array, gc, weakref"
    )
    prelude = "\n".join(f"try:\n    import {name.strip()}\nexcept ImportError: pass" for name in modules.removeprefix("import ").split(","))
    return [Attack(f"{category}-{name}", f"{prelude}\ndef f():\n    {body}", accept) for name, body in programs.items()]


CPU = _endless(
    "cpu",
    {
        "regex": "return re.match('(a+)+$', 'a' * 60 + 'b')",
        "regex-lookaround": "return re.search('(?=(a+))+b' * 3, 'a' * 40000)",
        "power": "return len(str(9 ** 9 ** 8))",
        "power-mod": "return pow(3, 10 ** 60000, 10 ** 60000 + 7) > 0",
        "digits": "sys.set_int_max_str_digits(0)\n    return int('9' * 10 ** 7) > 0",
        "sum": "return sum(range(10 ** 12))",
        "any": "return any(x < 0 for x in itertools.count())",
        "c-loop": "return all(iter(lambda: 1, 2))",
        "c-deque": "return collections.deque(itertools.repeat(1), maxlen=0)",
        "in": "return -1 in itertools.count()",
        "evil-sort": "class K:\n        def __lt__(self, o):\n            while True: pass\n    return sorted([K(), K()])",
        "evil-hash": "class K:\n        def __hash__(self): return 1\n        def __eq__(self, o): return False\n    return len({K() for _ in range(10 ** 5)})",
        "swallow": "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "swallow-del": "class D:\n        def __del__(self):\n            while True: pass\n    D()\n    return 1",
        "swallow-exit": "import atexit\n    atexit.register(lambda: [0 for _ in itertools.count()])\n    raise OSError",
        "decimal": "decimal.getcontext().prec = 10 ** 6\n    return str(decimal.Decimal(2).sqrt() / 3)[:1] * 0 + str(decimal.Decimal(7) ** 10 ** 8)",
        "fraction": "x = fractions.Fraction(1, 3)\n    while True: x = x * x + 1",
        "permutations": "return sum(1 for _ in itertools.permutations(range(15)))",
        "format": "return sum(len('%0*d' % (10 ** 6, 1)) for _ in range(10 ** 6))",
        "replace": "s = 'a' * 10 ** 6\n    while True: s = s.replace('a', 'b').replace('b', 'a')",
        "zip": "return zlib.compress(bytes(10 ** 8), 9) and [zlib.compress(bytes(10 ** 8), 9) for _ in range(99)] and 1",
        "eval": "return eval('[' + '0 for _ in ' * 0 + '0 for _ in itertools.count()]')",
        "class-body": "class A:\n        while True: pass",
        "metaclass": "class M(type):\n        def __call__(c):\n            while True: pass\n    class A(metaclass=M): pass\n    return A()",
        "descriptor": "class A:\n        @property\n        def x(self):\n            while True: pass\n    return A().x",
        "generator": "def g():\n        while True: yield 1\n    return max(g())",
        "coroutine": "class W:\n        def __await__(self):\n            while True: yield\n    async def c(): await W()\n    k = c()\n    while True: k.send(None)",
    },
) + [
    Attack("cpu-module-level", "x = 0\nwhile True: x += 1", ("timeout",)),
    Attack("cpu-decorator", "def d(g):\n    while True: pass\n@d\ndef f(): return 1", ("timeout",)),
    Attack("cpu-default", "def f(x=sum(range(10 ** 12))): return 1", ("timeout",)),
    Attack("cpu-compile-fold", "def f(): return " + " ** ".join(["9"] * 6), SPENT),
    Attack("cpu-compile-many", "\n".join(f"def g{i}(): return {i}" for i in range(2500)) + "\ndef f(): return 1", ("ok", *SPENT, "program_too_large")),
]  # fmt: skip

MEMORY = _endless(
    "mem",
    {
        "str": "return len('a' * 10 ** 10)",
        "list": "return len([0] * 10 ** 10)",
        "double": "x = [0]\n    while True: x += x",
        "join": "return len(b''.join([b'x' * 10 ** 7] * 1000))",
        "nested": "x = []\n    while True: x = [x, [0] * 1000]",
        "dict": "return len({i: str(i) for i in range(10 ** 9)})",
        "set": "s = set()\n    while True: s.add(len(s))",
        "array": "return len(array.array('d', [0]) * 10 ** 9)",
        "int": "return (1 << 10 ** 11) > 0",
        "bytes-format": "return len('{:>9999999999}'.format(1))",
        "inflate": "d = zlib.decompressobj()\n    x = zlib.compress(bytes(10 ** 7))\n    return len([zlib.decompress(x) for _ in range(10 ** 4)])",
        "swallow": "x = []\n    while True:\n        try:\n            while True: x.append(bytes(10 ** 7))\n        except MemoryError: pass",
        "generator-frames": "x = []\n    while True:\n        x.append((i for i in range(9)))",
        "classes": "x = []\n    while True: x.append(type('A', (), {}))",
        "exception-chain": "e = None\n    while True:\n        n = ValueError()\n        n.__context__ = e\n        e = n",
        "fractions": "x = 3\n    while True: x = x * x",
        "cartesian": "return len(list(itertools.product(range(1000), repeat=4)))",
        "counter": "return len(collections.Counter(itertools.count()))",
        "translate": "return len(('a' * 10 ** 6).translate({97: 'b' * 10 ** 5}))",
    },
) + [
    Attack("mem-mmap-shared", "import mmap\ndef f(): return len([mmap.mmap(-1, 1 << 30) for _ in range(99)])", (*SPENT, "denied")),
    Attack("mem-malloc", "import ctypes\ndef f():\n    l = ctypes.CDLL(None)\n    l.malloc.restype = ctypes.c_void_p\n    return 1 // (l.malloc(ctypes.c_size_t(1 << 34)) is not None)", (*SPENT, "denied")),
    Attack("mem-default", "def f(x=bytes(10 ** 11)): return 1", SPENT),
    Attack("mem-returned", "def f(): return ['x' * 10 ** 6] * 400", ("output_too_large",)),
]  # fmt: skip

_DEEP = "x = []\n    for _ in range(10 ** 5): x = {0}\n    "
RECURSION = _endless(
    "rec",
    {
        "plain": "return (lambda g: g(g))(lambda g: g(g))",
        "repr": "sys.setrecursionlimit(10 ** 9)\n    " + _DEEP.format("[x]") + "return len(repr(x))",
        "tuple-hash": "sys.setrecursionlimit(10 ** 9)\n    " + _DEEP.format("(x,)").replace("[]", "()") + "return hash(x) * 0",
        "compare": "sys.setrecursionlimit(10 ** 9)\n    "
        + _DEEP.format("[x]")
        + "y = []\n    for _ in range(10 ** 5): y = [y]\n    return x == y",
        "json": "sys.setrecursionlimit(10 ** 9)\n    " + _DEEP.format("[x]") + "return len(json.dumps(x))",
        "json-loads": "sys.setrecursionlimit(10 ** 9)\n    return len(json.loads('[' * 10 ** 5 + ']' * 10 ** 5))",
        "copy": "sys.setrecursionlimit(10 ** 9)\n    " + _DEEP.format("[x]") + "return len(copy.deepcopy(x))",
        "regex": "sys.setrecursionlimit(10 ** 9)\n    return re.compile('(' * 10 ** 5 + ')' * 10 ** 5) and 1",
        "regex-match": "return re.match('(?:a|b)*c', 'ab' * 10 ** 6) and 1",
        "compile": "sys.setrecursionlimit(10 ** 9)\n    return compile('(' * 10 ** 5 + ')' * 10 ** 5, 's', 'eval') and 1",
        "compile-minus": "sys.setrecursionlimit(10 ** 9)\n    return eval('-' * 10 ** 6 + '1')",
        "compile-attribute": "sys.setrecursionlimit(10 ** 9)\n    return compile('x' + '.x' * 10 ** 5, 's', 'eval') and 1",
        "map-chain": "x = iter([])\n    for _ in range(10 ** 6): x = map(int, x)\n    return list(x)",
        "chain-free": "x = None\n    for _ in range(10 ** 6): x = itertools.chain([x])\n    del x\n    return 1",
        "partial": "g = int\n    for _ in range(10 ** 5): g = functools.partial(g)\n    h = lambda: 1\n    for _ in range(10 ** 5): h = functools.partial(functools.partial, h)\n    return g()",
        "getattr": "class A:\n        def __getattr__(self, n): return getattr(self, n + 'x')\n    sys.setrecursionlimit(10 ** 9)\n    return A().x",
        "isinstance": "sys.setrecursionlimit(10 ** 9)\n    x = int\n    for _ in range(10 ** 6): x = (x,)\n    return isinstance('a', x)",
        "generators": "sys.setrecursionlimit(10 ** 9)\n    def g(n):\n        yield from g(n + 1)\n    return list(g(0))",
        "sort-key": "sys.setrecursionlimit(10 ** 9)\n    def k(x): return sorted([1], key=k)\n    return k(1)",
        "repr-lies": "class A:\n        def __repr__(self): return repr([self])\n    sys.setrecursionlimit(10 ** 9)\n    return repr(A())",
        "import-hook": "sys.setrecursionlimit(10 ** 9)\n    class H:\n        def find_spec(self, *a): return __import__('zzz' + str(len(a)))\n    sys.meta_path.insert(0, H())\n    import zzy",
        "del-chain": "class N: pass\n    x = None\n    for _ in range(10 ** 6):\n        n = N()\n        n.x = x\n        x = n\n    return 1",
        "except-chain": "sys.setrecursionlimit(10 ** 9)\n    def g():\n        try: g()\n        finally: g()\n    g()",
        "low-limit": "sys.setrecursionlimit(40)\n    return [[[[1]]]]",
        "cyclic-list": "x = []\n    x.append(x)\n    return x",
        "cyclic-dict": "x = {}\n    x[1] = (x,)\n    return x",
    },
    (*_SURVIVES, "denied"),
)

FLOOD = [
    Attack("out-string", "def f(): return 'x' * 10 ** 7", ("output_too_large",)),
    Attack("out-escapes", "def f(): return '\\x00' * 20000", ("output_too_large",)),
    Attack("out-surrogates", "def f(): return '\\ud800\\udc00' * 9000", ("output_too_large",)),
    Attack("out-bytes", "def f(): return bytes(10 ** 6)", ("output_too_large",)),
    Attack("out-digits", "def f(): return 10 ** 4300", ("output_too_large",)),
    Attack("out-digits-negative", "def f(): return -(1 << 20000)", ("output_too_large",)),
    Attack("out-digits-free", "import sys\nsys.set_int_max_str_digits(0)\ndef f(): return [10 ** 5000]", ("output_too_large",)),
    Attack("out-laughs-dict", "def f():\n    x = {}\n    for i in range(60): x = {1: x, 2: x}\n    return x", ("output_too_large",)),
    Attack("out-laughs-tuple", "def f():\n    x = ()\n    for i in range(60): x = (x, x)\n    return x", ("output_too_large",)),
    Attack("out-deep-dict", "def f():\n    x = 1\n    for i in range(999): x = {1: x}\n    return x", ("output_too_large",)),
    Attack("out-wide-set", "def f(): return set(range(10 ** 5))", ("output_too_large",)),
    Attack("out-nodes", "def f(): return [[]] * 20001", ("output_too_large",)),
    Attack("out-just-fits", "def f(): return len([1] * 20000), [1] * 15000", ("ok",)),
    Attack("out-print", "def f():\n    for i in range(10 ** 5): print('x' * 1000)\n    return 1", ("ok", "timeout"), output="1"),
    Attack("out-print-one", "def f():\n    print('x' * 10 ** 7)\n    return 1", ("ok", "memory"), output="1"),
    Attack("out-exception-text", "def f(): raise ValueError('x' * 10 ** 7)", ("error", "memory")),
    Attack("out-exception-name", "def f(): raise type('E' * 10 ** 6, (Exception,), {})", ("error",)),
    Attack("out-exception-newline", "def f(): raise type('ok\\n5', (Exception,), {})", ("error",)),
    Attack("out-exception-group", "def f():\n    e = ValueError()\n    for _ in range(1000): e = ExceptionGroup('x' * 1000, [e])\n    raise e", ("error", "memory")),
    Attack("out-exception-evil", "class E(Exception):\n    __name__ = property(lambda s: 1 // 0)\n    def __str__(self): raise SystemExit\n    __repr__ = __str__\ndef f(): raise E", ("error",)),
    Attack("out-type-name", "def f(): return type('list', (list,), {})([5])", ("unsupported_output",)),
    Attack("out-warnings", "import warnings\ndef f():\n    for i in range(10 ** 5): warnings.warn('x' * 100)\n    return 1", ("ok", "timeout", "error")),
    Attack("out-changing", "class D:\n    def __del__(self):\n        xs.clear()\nxs = [1, 2, D(), 3]\ndef f(): return xs", ("unsupported_output", "ok")),
    Attack("out-syntax-flood", "def f(): return (" + "1 +" * 9000, ("syntax_error",)),
]  # fmt: skip

HACKS = [
    Attack(f"hack-{name}", program, ANYTHING, task="induct", tests=(("1", "'GOLD_SECRET_7'"), ("2", "'GOLD_SECRET_7'")))
    for name, program in {
        "gc": "import gc\ndef f(x):\n    for o in gc.get_objects():\n        for v in (list(o.values()) if type(o) is dict else list(o) if type(o) in (list, tuple) else [o]):\n            if type(v) is str and v.startswith('GOLD' + '_SECRET') and len(v) < 20: return v\n    return 1",
        "frames": "import sys\ndef f(x):\n    fr = sys._getframe()\n    while fr:\n        for v in list(fr.f_locals.values()):\n            if 'GOLD' + '_SECRET' in str(v) and fr.f_code.co_name != 'f': return v\n        fr = fr.f_back\n    return 0",
        "traceback": "def f(x):\n    try: 1 // 0\n    except ZeroDivisionError as e:\n        t = e.__traceback__.tb_frame\n        while t:\n            for v in t.f_locals.values():\n                if 'GOLD' + '_SECRET' in str(v) and t.f_back is None: return v\n            t = t.f_back\n    return 0",
        "order": "import sys\ndef f(x):\n    fr = sys._getframe(1)\n    while fr and 'order' not in fr.f_locals: fr = fr.f_back\n    return str(fr.f_locals['order'].calls)[:500] if fr else 0",
        "equal": "class E:\n    def __eq__(self, o): return True\n    __hash__ = None\ndef f(x): return E()",
        "string": "class S(str):\n    def __eq__(self, o): return True\n    __hash__ = str.__hash__\ndef f(x): return S('a')",
        "metaclass": "class M(type):\n    def __eq__(c, o): return True\n    def __hash__(c): return hash(str)\nclass A(metaclass=M): pass\ndef f(x): return A()",
        "class-lie": "class A:\n    __class__ = str\n    def __len__(self): return 0\n    def __str__(self): return 'x'\ndef f(x): return A()",
        "reduce": "class A:\n    def __reduce__(self): return str, ('GOLD' + '_SECRET',)\ndef f(x): return A()",
        "encoder": "import azr_plugins_python.executor.codec as c\nc._scalars[int] = lambda v: '\"\"'\nc.encode = lambda v: '0'\ndef f(x): return 5",
        "answer-twice": "import sys\ndef f(x):\n    fr = sys._getframe(1)\n    while 'send' not in fr.f_locals: fr = fr.f_back\n    l, g = fr.f_locals, fr.f_globals\n    for k in range(9): l['send'](g['_pack'](l['identity'], k, 0, b'\"?\"'))\n    return 0",
        "generator": "def f(x):\n    yield 'GOLD' + '_SECRET'",
        "exit": "import sys\ndef f(x): sys.exit('GOLD' + '_SECRET')",
        "deep-exit": "import os\ndef f(x): os._exit(0)",
        "none": "def f(x): pass",
    }.items()
] + [
    Attack("hack-count-calls", "n = []\ndef f(x):\n    n.append(1)\n    return len(n)", ("ok",), task="induct", tests=(("1", "1"), ("2", "2")), reward=0.5),
    Attack("hack-count-module", "import math\ndef f(x):\n    math.n = getattr(math, 'n', 0) + 1\n    return math.n", ("ok", "error"), task="induct", tests=(("9", "5"), ("9", "6"))),
    Attack("hack-input-table", "def f(x): return {1: 5}.get(x, 0)", ("ok",), task="induct", tests=(("1", "5"), ("2", "6")), reward=0.5),
]  # fmt: skip

POISON = [
    Attack(f"poison-{index:02d}", f"{text}\ndef f(): return 1", ANYTHING)
    for index, text in enumerate(
        (
            "import json\njson.dumps = json.loads = lambda *a, **k: 1 // 0\njson.decoder.scanstring = None",
            "import re\nre._cache = None\nre.compile = lambda *a: 1 // 0\nre._compiler = None",
            "import struct\nstruct.Struct = struct.pack = lambda *a: b''",
            "import codecs\ncodecs.register_error('strict', lambda e: ('', e.end))\ncodecs.lookup = None",
            "import sys\nsys.modules.clear()",
            "import sys\nfor n in list(sys.modules): sys.modules[n] = None",
            "import sys\nsys.setrecursionlimit(60)\nsys.path = sys.meta_path = sys.path_hooks = None",
            "import sys\nsys.settrace(lambda *a: 1 // 0)\nsys.setprofile(lambda *a: 1 // 0)",
            "import sys\nsys.stdout = sys.stderr = None\nsys.excepthook = sys.displayhook = None",
            "import sys\nsys.set_int_max_str_digits(640)\nsys.setswitchinterval(100)",
            "import gc\ngc.disable()\ngc.set_threshold(1)\ngc.callbacks.append(lambda *a: 1 // 0)\ngc.unfreeze()\ngc.collect()",
            "import decimal\ndecimal.getcontext().prec = 2\ndecimal.DefaultContext.prec = 2\ndecimal.setcontext(decimal.Context(prec=1))",
            "import random\nrandom.seed(0)\nrandom.Random.randint = lambda *a: 4\nrandom.Random.random = lambda *a: 0",
            "import keyword\nkeyword.kwlist.clear()",
            "import keyword\nkeyword.kwlist[:] = ['x'] * 35",
            "import string\nstring.digits = ''\nstring.Formatter.format = None",
            "import collections.abc, numbers\ncollections.abc.Sequence.register(int)\nnumbers.Number.register(str)",
            "import copyreg, copy\ncopyreg.dispatch_table.clear()\ncopy._deepcopy_dispatch.clear()\ncopy.copy = None",
            "import functools\nfunctools.reduce = lambda *a: 0\nfunctools.lru_cache = None",
            "import heapq\nheapq.nsmallest = heapq.heappop = None",
            "import operator, math\noperator.add = operator.mul = lambda *a: 0\nmath.azr = 1\nmath.sqrt = len",
            "import fractions, textwrap\nfractions.Fraction.__str__ = lambda s: '?'\ntextwrap.dedent = str",
            "import warnings\nwarnings.filters.insert(0, ('error', None, Warning, None, 0))",
            "import os\nos.environ.clear()\nos._exit = lambda *a: None\nos.write = os.read = None",
            "import atexit, weakref\natexit.register(lambda: 1 // 0)\nclass A: pass\na = A()\nweakref.finalize(a, print)",
            "import builtins\nfor n in ('len', 'sum', 'sorted', 'isinstance', 'type', 'str', 'repr', 'range', 'max', 'map', 'print'): setattr(builtins, n, None)",
            "import builtins\nbuiltins.__build_class__ = builtins.__import__ = None\nbuiltins.ZeroDivisionError = KeyError",
            "__builtins__.clear() if isinstance(__builtins__, dict) else None",
            "b = (lambda: 0).__globals__['__builtins__']\nb['isinstance'] = lambda *a: True\nb['Exception'] = None",
            "import types\ntypes.FunctionType = types.CodeType = None",
            "import enum, dataclasses\nenum.Enum.__eq__ = None\ndataclasses.dataclass = None",
            "import azr_plugins_python.executor.child as c\nc.run_job = c._answer = c._compile = c._exec = None\nc._guarded_builtins.clear()\nc._open_builtins.clear()",
            "import azr_plugins_python.executor.codec as c\nc._scalars.clear()\nc._sequences.clear()\nc._builders.clear()\nc.converters[int] = None",
            "import azr_plugins_python.executor.wire as w\nw.unpack_order = w.pack_answer = w.KINDS = None",
            "import __main__\n__main__._run_child = __main__._STATUS = None\n__main__.__dict__.clear()",
            "import ctypes\nctypes.memset(id(7) + 24, 9, 1)",
            "import ctypes\nctypes.memset(id(True) + 24, 0, 1)\nctypes.memset(id(()) + 16, 1, 1)",
            "import ctypes\nctypes.pythonapi.PyDict_SetItem(ctypes.py_object(str.__dict__), ctypes.py_object('upper'), None)",
            "import gc\nd = gc.get_referents(str.__dict__)[0]\nd['upper'] = lambda s: 'POISON'\nd['split'] = None",
            "import gc\nd = gc.get_referents(int.__dict__)[0]\nd['__add__'] = lambda a, b: 0\nd['__eq__'] = lambda a, b: True",
            "import gc\nfor o in gc.get_objects():\n    if type(o) is dict and 'identity' in o: o.clear()",
            "import gc\nfor o in gc.get_objects():\n    if type(o) is list and o and o is not gc.get_objects: o.clear()",
            "import locale\nlocale.setlocale(locale.LC_ALL, 'tr_TR')",
            "import typing\ntyping._cleanups.clear()\ntyping.List = None",
            "import abc\nabc.ABCMeta.__instancecheck__ = lambda *a: True",
            "import itertools, threading\nthreading.settrace(lambda *a: 1 // 0)\nthreading.excepthook = None",
            "import asyncio\nasyncio.set_event_loop_policy(None)",
            "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)",
            "class D:\n    def __del__(self):\n        import builtins\n        builtins.len = None\nd = D()\nd.me = d",
            "class D:\n    def __del__(self): raise SystemExit\nimport sys\nsys.azr = D()",
        )
    )
]  # fmt: skip

GATE = [
    Attack(f"gate-{name}", program, ANYTHING)
    for name, program in {
        "setattr": "import math\ndef f():\n    setattr(math, 'azr', 1)\n    return 1",
        "vars": "import math\ndef f():\n    vars(math)['azr'] = 1\n    return 1",
        "dict-method": "import math\ndef f(): return math.__dict__.update(azr=1)",
        "methodcaller": "import math, operator\ndef f(): return operator.methodcaller('__setattr__', 'azr', 1)(math)",
        "attrgetter": "import operator, math\ndef f(): return operator.attrgetter('__dict__.update')(math)(azr=1)",
        "reduce-getattr": "import functools, math\ndef f(): return functools.reduce(getattr, ['__dict__', 'update'], math)(azr=1)",
        "for-target": "import math\ndef f():\n    for math.azr in (1,): pass\n    return 1",
        "with-target": "import math, contextlib\ndef f():\n    with contextlib.nullcontext(1) as math.azr: return 1",
        "except-target": "import math\ndef f():\n    [math.azr] = [1]\n    (math.azr, b), c = (1, 2), 3\n    return 1",
        "augmented": "import keyword\ndef f():\n    keyword.kwlist += ['zz']\n    return 1",
        "mutable-append": "import keyword\ndef f(): return keyword.kwlist.append('x')",
        "mutable-sort": "import keyword\ndef f(): return keyword.kwlist.sort(reverse=True)",
        "mutable-heap": "import keyword, heapq, bisect, random\ndef f():\n    heapq.heappush(keyword.kwlist, 'A')\n    bisect.insort(keyword.kwlist, 'B')\n    return random.shuffle(keyword.kwlist)",
        "mutable-alias": "from keyword import kwlist as k\ndef f():\n    k[0] = 'x'\n    del k[1:]\n    return 1",
        "mutable-starred": "from keyword import *\ndef f(): return kwlist.clear()",
        "context": "from decimal import getcontext\ndef f(): return getcontext().clear_traps()",
        "context-set": "from decimal import setcontext, Context\ndef f(): return setcontext(Context(prec=1))",
        "context-local": "from decimal import localcontext, Context\nc = localcontext(Context(prec=1))\ndef f():\n    c.__enter__()\n    return 1",
        "register": "from collections.abc import Sequence\ndef f(): return str(Sequence.register(int))",
        "register-hook": "from functools import singledispatch\n@singledispatch\ndef g(x): return 1\ndef f(): return g.register(int, len) and g(3)",
        "typing-cache": "from typing import List, Dict\nclass U:\n    def __eq__(self, o): return True\n    def __hash__(self): return hash(int)\ndef f():\n    List[U()]\n    return 1",
        "format": "import math\ndef f(): return '{0.__dict__}'.format(math)[:5]",
        "format-map": "class M(dict):\n    def __missing__(self, k): return globals()\ndef f(): return len('{x}'.format_map(M())) * 0",
        "globals": "def f():\n    globals()['__builtins__']['len'] = lambda x: 9\n    return 1",
        "locals": "def f(): return len(locals()) and locals().clear()",
        "exec": "def f():\n    exec('import math; math.azr = 1')\n    return 1",
        "eval": "def f(): return eval('__import__(\"math\").__dict__.update(azr=1)')",
        "annotations": "import math\ndef f(x: math.__dict__.update(azr=1) = 1): return 1",
        "match-class": "class P:\n    __match_args__ = ('x',)\n    x = 1\ndef f():\n    match P():\n        case P(x): return x",
        "class-cell": "class A:\n    def g(self): return __class__\ndef f(): return str(A().g().__mro__[-1].__subclasses__()[0])[:1]",
        "code": "def g(): return 1\ndef f():\n    g.__code__ = (lambda: 5).__code__\n    return g()",
        "defaults": "def f(x=[]):\n    x.append(1)\n    f.__defaults__ = ([9],)\n    return 1",
        "frame": "def f():\n    try: 1 // 0\n    except ZeroDivisionError as e: e.__traceback__.tb_frame.f_builtins['len'] = None\n    return 1",
        "gen-frame": "def f():\n    g = (i for i in [1])\n    g.gi_frame.f_globals['__builtins__'].clear()\n    return 1",
        "coroutine-frame": "async def c(): pass\ndef f():\n    k = c()\n    k.cr_frame.f_builtins['sum'] = None\n    k.close()\n    return 1",
        "intern": "import sys\ndef f(): return sys.intern('x' * 100) and sys.setrecursionlimit(100)",
        "leak-iterator": "import itertools\nc = itertools.count()\ndef f(): return next(c)",
        "leak-memory": "import collections\nd = collections.deque()\ndef f():\n    for i in range(10 ** 5): d.append([i])\n    d.append(d)\n    return 1",
        "leak-generator": "def g():\n    try: yield 1\n    finally:\n        import keyword\n        keyword.kwlist.clear()\nk = g()\nnext(k)\nx = [k]\nx.append(x)\ndef f(): return 1",
        "leak-stop": "class I:\n    def __iter__(self): return self\n    def __next__(self): raise StopIteration(self)\ndef f(): return list(I())",
        "unpack-builtins": "def f(**k): return sorted(k)",
        "print-file": "class W:\n    def write(self, t): import keyword; keyword.kwlist.clear()\ndef f(): return print('x', file=W())",
        "str-subclass-name": "class S(str):\n    def __hash__(self): return 1 // 0\ndef f(): return getattr(int, S('real'), 0)",
        "sort-mutates": "def f():\n    x = [3, 2, 1]\n    x.sort(key=lambda i: x.append(i) or i)\n    return x",
        "del-name": "def f():\n    global len\n    len = 3\n    del len\n    return 1",
        "shadow": "len = sum = sorted = isinstance = str = None\ndef f(): return 1",
        "int-max-digits": "def f():\n    import sys\n    sys.set_int_max_str_digits(0)\n    return 1",
        "random-seed": "import random\ndef f():\n    random.seed(1)\n    return random.setstate(random.getstate())",
        "json-default": "import json\ndef f():\n    json._default_encoder.sort_keys = True\n    json._default_encoder.item_separator = ';'\n    return 1",
        "re-template": "import re\ndef f():\n    re.purge()\n    re._cache[1] = 2\n    re._MAXCACHE = 0\n    return 1",
    }.items()
] + [
    Attack("gate-dunder-keyword", "def f(**k): return sorted(k)", ("ok", *HELD), input="__builtins__=1, __class__=2", output="['__builtins__', '__class__']"),
    Attack("gate-huge-input", "def f(x): return len(x)", ("ok",), input=repr("a" * 8000), output="8000"),
]  # fmt: skip

INSIDE = [*CPU, *MEMORY, *RECURSION, *FLOOD, *HACKS, *POISON, *GATE]
