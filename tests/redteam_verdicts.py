"""Programs and answers that try to get a wrong verdict: chance, types, equality, input forms, and what counts as a program."""

from __future__ import annotations

from attacking import HELD, Attack

_CHANCE = ("nondeterministic", *HELD)
DETERMINISM = [
    Attack(f"det-{name}", program, _CHANCE, task="validate")
    for name, program in {
        "hash-text": "def f(): return hash('a') % 1000",
        "hash-bytes": "def f(): return hash(b'a' * 9) & 0xFFFF",
        "hash-nan": "def f(): return hash(float('nan')) % 65521",
        "hash-function": "def f(): return hash(f)",
        "hash-tuple": "def f(): return hash(('a', 1)) < 0 and 1 or hash(('b', 2)) % 97",
        "repr": "def f(): return str(lambda: 1)",
        "repr-method": "class A: pass\ndef f(): return repr(A().__init__)",
        "id": "def f(): return id(f) >> 4",
        "id-order": "def f():\n    xs = [object() for _ in range(50)]\n    return [id(x) % 977 for x in xs]",
        "time": "import time\ndef f(): return time.time_ns()",
        "time-cpu": "import time\ndef f(): return time.process_time_ns()",
        "time-monotonic": "import time\ndef f(): return time.monotonic_ns() // 1000",
        "time-clock": "import datetime\ndef f(): return str(datetime.datetime.now())",
        "usage": "import resource\ndef f():\n    used = resource.getrusage(0)\n    return used.ru_utime + used.ru_stime",
        "random": "import random\ndef f(): return random.randint(0, 10 ** 9)",
        "random-shuffle": "import random\ndef f():\n    xs = list(range(20))\n    random.shuffle(xs)\n    return xs",
        "random-system": "import random\ndef f(): return random.SystemRandom().random()",
        "urandom": "import os\ndef f(): return os.urandom(8)",
        "uuid": "import uuid\ndef f(): return str(uuid.uuid4())",
        "pid": "import os\ndef f(): return os.getpid()",
        "thread": "import threading\ndef f(): return threading.get_ident()",
        "set-list": "def f(): return list({'alpha', 'beta', 'gamma', 'delta', 'epsilon'})",
        "set-join": "def f(): return '-'.join({'alpha', 'beta', 'gamma', 'delta', 'epsilon'})",
        "set-pop": "def f(): return {'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta'}.pop()",
        "set-first": "def f(): return next(iter(frozenset('the quick brown fox'.split())))",
        "set-str": "def f(): return str(set('the quick brown fox'))",
        "set-dict": "def f(): return dict.fromkeys(set('quick brown'), 0)",
        "set-max": "def f(): return max({'pear', 'plum', 'lime', 'kiwi', 'figs'}, key=len)",
        "set-stable-sort": "def f(): return sorted({'pear', 'plum', 'lime', 'kiwi', 'figs'}, key=len)",
        "set-enumerate": "def f(): return {w: i for i, w in enumerate(set('a b c d e f'.split()))}",
        "set-operation": "def f(): return [*({'a', 'b', 'c', 'd'} | {'e', 'f'})]",
        "set-keys": "def f(): return list({'a': 1, 'b': 2, 'c': 3, 'd': 4}.keys() & {'a': 1, 'c': 2, 'd': 3, 'b': 4}.keys())",
        "set-float-sum": "def f(): return sum({str(x): x for x in (1e16, 1.0, -1e16, 3.0)}[k] for k in {'1e+16', '1.0', '-1e+16', '3.0'})",
        "seed-variable": "import os\ndef f(): return os.environ.get('PYTHONHASHSEED')",
        "blocks": "import sys\ndef f(): return sys.getallocatedblocks()",
        "state-global": "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
        "state-default": "def f(x={}):\n    x[len(x)] = 1\n    return len(x)",
        "state-closure": "def make():\n    n = [0]\n    def g():\n        n[0] += 1\n        return n[0]\n    return g\nf = make()",
        "state-class": "class A:\n    n = 0\ndef f():\n    A.n += 1\n    return A.n",
        "state-generator": "g = iter(range(99))\ndef f(): return next(g)",
        "state-cache": "from functools import lru_cache\n@lru_cache\ndef g(x): return x\ndef f():\n    g(1)\n    return g.cache_info().hits",
        "state-module": "import json\ndef f():\n    json.n = getattr(json, 'n', 0) + 1\n    return json.n",
        "state-builtins": "def f():\n    b = __builtins__ if type(__builtins__) is dict else vars(__builtins__)\n    b['n'] = b.get('n', 0) + 1\n    return b['n']",
        "state-type": "import collections\ndef f():\n    c = collections.Counter\n    c.n = getattr(c, 'n', 0) + 1\n    return c.n",
        "state-subclasses": "def f():\n    type('A', (int,), {})\n    return sum(c.__name__ == 'A' for c in int.__subclasses__())",
        "state-exception": "n = []\ndef f():\n    n.append(1)\n    return 1 // (2 - len(n))",
    }.items()
] + [
    Attack("det-state-slow", "n = []\ndef f():\n    n.append(1)\n    while len(n) > 1: pass\n    return 1", ("nondeterministic", "timeout"), task="validate"),
    Attack("det-half-the-limit", "def f():\n    import time\n    return sum(range(10 ** 11))", ("timeout", "error"), task="validate"),
    Attack("det-seeded", "import random\ndef f(): return random.Random(3).random() < 2", ("ok", "error"), output="True", task="validate"),
    Attack("det-set-as-set", "def f(): return set('quick brown'), {1: {'a', 'b'}}", ("ok",), task="validate"),
    Attack("det-set-sorted", "def f(): return sorted(set('quick')), len({'a', 'b'}), sum({1, 2})", ("ok",), output="(['c', 'i', 'k', 'q', 'u'], 2, 3)", task="validate"),
    Attack("det-small-ints", "def f(): return list({3, 1, 2})", ("ok",), output="[1, 2, 3]", task="validate"),
]  # fmt: skip

_VALUES = {
    "empty": ("[], (), {}, '', b'', None", "([], (), {}, '', b'', None)"), "empty-set": "set()", "frozen": "frozenset({1})", "complex": "1 - 2j",
    "negative-zero": "-0.0", "infinity": ("1e999, -1e999", "(inf, -inf)"), "bytes": "b'\\x00\\xff'", "surrogate": "'\\ud800'", "line-separator": "'\\u2028\\x85'",
    "tuple-key": "{(1, 'a'): [None]}", "bool-key": ("{True: 1, 0: 2}", "{True: 1, 0: 2}"), "nested-set": "{frozenset({1, 2}), frozenset()}", "one-tuple": "(1,)",
    "big": "10 ** 4000".replace("10 ** 4000", "1" + "0" * 4000), "tiny": "5e-324", "quotes": "'\\'\"`'", "nan-key": ("{float('nan'): 1}", "{nan: 1}"),
    "mixed-set": "{1, 'a', None, (1,)}", "complex-nan": ("complex('nanj')", "complex(0, nan)"), "ordered": ("__import__('collections').OrderedDict(a=1)", "{'a': 1}"),
    "deque": ("__import__('collections').deque([1])", "[1]"), "keys": ("{1: 2}.keys()", "{1}"), "counter": ("__import__('collections').Counter('a')", "{'a': 1}"),
}  # fmt: skip
_NO_VALUES = (
    "bytearray(b'a')", "memoryview(b'a')", "range(2)", "slice(1)", "iter([])", "(i for i in [])", "zip()", "map(str, [])", "{}.values()", "{}.items()", "NotImplemented",
    "object()", "int", "type", "len", "''.join", "Exception()", "property()", "__import__('math')", "__import__('decimal').Decimal(1)", "__import__('re').compile('a')",
    "__import__('fractions').Fraction(1, 2)", "type('T', (tuple,), {})((1,))", "type('D', (dict,), {})()", "type('B', (bytes,), {})(b'a')", "type('F', (float,), {})(1)",
    "[type('I', (int,), {})(5)]", "{type('S', (str,), {})('a'): 1}", "__import__('enum').IntEnum('E', 'a').a", "__import__('types').SimpleNamespace(a=1)",
    "__import__('collections').namedtuple('P', 'x')(1)", "__import__('collections').UserDict()", "__import__('array').array('i', [1])", "__import__('types').MappingProxyType({})",
    "__import__('collections').ChainMap({})", "(lambda: (yield))()", "[..., 1]", "({}, [lambda: 1])",
)  # fmt: skip
VALUES = [
    *(
        Attack(f"val-{name}", f"def f(): return {found[0] if isinstance(found, tuple) else found}", ("ok",), output=found[1] if isinstance(found, tuple) else found, task="validate")
        for name, found in _VALUES.items()
    ),
    *(Attack(f"val-none-{index:02d}", f"def f(): return {text}", ("unsupported_output",), task="validate") for index, text in enumerate(_NO_VALUES)),
]  # fmt: skip

_ANSWERS: tuple[tuple[str, str, float], ...] = (
    ("1", "True", 1.0), ("1", "1.0", 1.0), ("True", "1", 1.0), ("0.0", "-0.0", 1.0), ("[float('nan')]", "[nan]", 1.0), ("(float('nan'),)", "[nan]", 0.0),
    ("{1, 2}", "{2, 1}", 1.0), ("{1, 2}", "[1, 2]", 0.0), ("{1, 2}", "frozenset([2, 1])", 1.0), ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", 1.0), ("{'a': 1}", "dict(a=1)", 1.0),
    ("'a'", "b'a'", 0.0), ("(1, 2)", "1, 2", 1.0), ("(1, 2)", "[1, 2]", 0.0), ("'1'", "1", 0.0), ("0.1 + 0.2", "0.3", 0.0), ("0.1 + 0.2", "0.30000000000000004", 1.0),
    ("10 ** 20", "1e20", 1.0), ("2 ** 53 + 1", "9007199254740992.0", 0.0), ("None", "'None'", 0.0), ("()", "[]", 0.0), ("{}", "set()", 0.0), ("''", "None", 0.0),
    ("5", "5  # five", 1.0), ("5", "x = 5", 0.0), ("5", "5;", 0.0), ("5", "f()", 0.0), ("5", "[5][0]", 0.0), ("5", "(y := 5)", 0.0), ("5", "2 + 3", 0.0), ("5", "int('5')", 0.0),
    ("5", "eval('5')", 0.0), ("5", "5)\n(5", 0.0), ("5", "(lambda: 5)()", 0.0), ("5", "0b101", 1.0), ("5", "0x5", 1.0), ("5", "5_0", 0.0), ("5", "*[5]", 0.0), ("5", "5j", 0.0), ("5", "5 + 0j", 1.0),
    ("[True, 0]", "[1, False]", 1.0), ("{1: 'a', True: 'b'}", "{1: 'b'}", 1.0), ("{float('nan'): 1}", "{nan: 1}", 1.0), ("'a' * 3", "'a' 'a' 'a'", 1.0), ("'a'", "f'a'", 0.0), ("'a'", "u'a'", 1.0),
    ("'\\\\n'", "r'\\n'", 1.0), ("'b'", "'b' if 1 else 0", 0.0), ("[1, 2, 3]", "[*range(1, 4)]", 0.0), ("[1, 2, 3]", "[i for i in (1, 2, 3)]", 0.0), ("float('inf')", "1e999", 1.0), ("float('inf')", "inf", 1.0),
    ("float('inf')", "-inf", 0.0), ("5", "\u0665", 0.0), ("5", "\uff15", 0.0), ("'A'", "'\\x41'", 1.0), ("'\u00e9'", "'e\u0301'", 0.0), ("5", "", 0.0), ("5", "#", 0.0), ("5", "...", 0.0), ("'x'", "x", 0.0),
    ("5", "-" * 3000 + "5", 0.0), ("5", "(" * 64 + "5" + ")" * 64, 1.0), ("5", "9" * 5000, 0.0), ("5", "gold", 0.0), ("5", "__builtins__", 0.0), ("5", "5 == 5", 0.0), ("True", "5 == 5", 0.0),
)  # fmt: skip
_INPUTS: tuple[tuple[str, float], ...] = (
    ("3", 1.0), ("x=3", 1.0), ("f(3)", 1.0), ("f(x=3)  # so", 1.0), ("3.0", 1.0), ("3,", 1.0), ("-3", 0.0), ("y=3", 0.0), ("*[3]", 0.0), ("**{'x': 3}", 0.0), ("f(*[3])", 0.0), ("3) or (True", 0.0),
    ("0) == 6 or f(3", 0.0), ("3)\nf = lambda x: 6\nf(3", 0.0), ("(f := lambda x: 6)", 0.0), ("lambda: 3", 0.0), ("type('E', (), {'__mul__': lambda s, o: 6})()", 0.0), ("3 if 1 else 2", 0.0),
    ("(3)", 1.0), ("+3", 1.0), ("3 + 0", 0.0), ("g(3)", 0.0), ("f(f(3))", 0.0), ("True", 0.0), ("6", 0.0), ("", 0.0), ("3, 3", 0.0), ("x=3, x=3", 0.0), ("'3'", 0.0), ("f(3), f(3)", 0.0), ("gold", 0.0),
    ("f (3)", 1.0), ("f(\n3\n)", 1.0), ("__import__('os')", 0.0), ("[i for i in [3]][0]", 0.0), ("(yield)", 0.0), ("await x", 0.0), ("f'{3}'", 0.0), ("3 # )", 1.0), ("\x00", 0.0),
)  # fmt: skip
COMPARE = [
    Attack(f"cmp-{index:02d}", f"def f(): return {gold}", ("ok",), task="deduct", answer=answer, reward=reward) for index, (gold, answer, reward) in enumerate(_ANSWERS)
] + [
    Attack(f"abd-{index:02d}", "def f(x): return x * 2", ("ok",), input="3", task="abduct", answer=answer, reward=reward) for index, (answer, reward) in enumerate(_INPUTS)
]  # fmt: skip

_FORMS: dict[str, str | None] = {
    "1, 2, k=3": "((1, 2), {'k': 3})", "k=1, j={'a': [()]}": "((), {'k': 1, 'j': {'a': [()]}})", "1, # one\n 2": "((1, 2), {})", "dict(a=1), set(), frozenset([1])": "(({'a': 1}, set(), frozenset([1])), {})",
    "'a' 'b'": "(('ab',), {})", "b'x', r'\\d', u'y'": "((b'x', '\\\\d', 'y'), {})", "1_000, 0xff, 1e3, 2j": "((1000, 255, 1000.0, 2j), {})", "(1, 2)": "(((1, 2),), {})", "-1, +2, -1-2j": "((-1, 2, -1-2j), {})",
    "'''a\nb'''": "(('a\\nb',), {})", "[1, 2,]": "(([1, 2],), {})", "1,": "((1,), {})", "True, None": "((True, None), {})", "self=1, cls=2": "((), {'self': 1, 'cls': 2})", "9" * 4000: f"(({'9' * 4000},), {{}})",
    "*[1]": None, "**{'a': 1}": None, "f(1)": None, "x": None, "(y := 1)": None, "[i for i in (1,)]": None, "lambda: 1": None, "1 if 1 else 2": None, "not 1": None, "1 + 1": None, "'a' + 'b'": None, "'%d' % 1": None, "f'{1}'": None,
    "f''": None, "a=1, 2": None, "a=1, a=2": None, "1 2": None, "1;2": None, "1)": None, "(1": None, "1) + f(2": None, "1, 2 = 3": None, "=1": None, "1=2": None, "'a'=2": None, ",": None, "1,,2": None, "...": None, "print": None,
    "range(3)": None, "list((1,))": None, "tuple()": None, "dict([(1, 2)])": None, "int(3)": None, "{**{}}": None, "[*[1]]": None, "{[]: 1}": None, "{{}}": None, "{1: 2, 3}": None, "9" * 5000: None, "'" + "a" * 9000 + "'": None, "'\\": None,
    "# only": "((), {})", "1\n2": None, "1\n,2": "((1, 2), {})", "\t1 ": "((1,), {})", "await 1": None, "x for x in []": None, "1 < 2": None, "a.b": None, "a[0]": None, "1 and 2": None, "[" * 65 + "]" * 65: None, "import os": None, "\ufeff1": None,
}  # fmt: skip
INPUTS = [
    Attack(f"in-{index:02d}", "def f(*a, **k): return a, k", ("ok",) if output else ("bad_input",), input=text, output=output)
    for index, (text, output) in enumerate(_FORMS.items())
]

VALIDITY = [
    Attack(f"bad-{name}", program, accept if isinstance(accept, tuple) else (accept,))
    for name, (program, accept) in {
        "empty": ("", "no_entry"), "comment": ("# def f(): return 1", "no_entry"), "other-name": ("def g(): return 1", "no_entry"), "nested": ("def g():\n    def f(): return 1", "no_entry"), "string": ("'def f(): return 1'", "no_entry"),
        "method": ("class A:\n    def f(self): return 1", "no_entry"), "deleted": ("def f(): return 1\ndel f", "no_entry"), "none": ("f = None", "error"), "text": ("f = 'x'", "error"), "class": ("class f: pass", "unsupported_output"),
        "async": ("async def f(): return 1", "unsupported_output"), "generator": ("def f(): yield 1", "unsupported_output"), "async-generator": ("async def f(): yield 1", "unsupported_output"), "raise": ("def f(): raise KeyError", "error"),
        "raise-exit": ("raise SystemExit", "error"), "raise-interrupt": ("def f(): raise KeyboardInterrupt", "error"), "raise-generator-exit": ("def f(): raise GeneratorExit", "error"), "raise-stop": ("def f(): raise StopIteration(5)", "error"),
        "raise-nothing": ("def f(): raise", "error"), "raise-int": ("def f(): raise 5", "error"), "raise-base": ("class E(BaseException): pass\ndef f(): raise E", "error"), "assert": ("def f(): assert 0", "error"), "arity": ("def f(x): return x", "error"),
        "module": ("import math as f", "error"), "return-outside": ("return 1\ndef f(): return 1", "syntax_error"), "yield-outside": ("yield 1\ndef f(): return 1", "syntax_error"), "await-outside": ("def f(): await g()", "syntax_error"),
        "nonlocal": ("def f():\n    nonlocal x", "syntax_error"), "indent": ("def f():\nreturn 1", "syntax_error"), "tabs": ("def f():\n\tx = 1\n        return x", "syntax_error"), "null": ("def f(): return 1\x00", "syntax_error"),
        "print-two": ("print 1\ndef f(): return 1", "syntax_error"), "walrus": ("x := 1\ndef f(): return 1", "syntax_error"), "star": ("def f():\n    from math import *", "syntax_error"), "parens": ("def f(): return " + "(" * 300 + ")" * 300, ("syntax_error", "memory")),
        "cookie": ("# -*- coding: no-such -*-\ndef f(): return 1", ("ok", "syntax_error")), "large": ("#" + "x" * 70_000 + "\ndef f(): return 1", "program_too_large"), "surrogate": ("def f(): return '\ud800'", "syntax_error"),
        "byte-order-mark": ("\ufeffdef f(): return 1", "syntax_error"), "main": ("if __name__ == '__main__':\n    def f(): return 1", "no_entry"), "future": ("from __future__ import braces\ndef f(): return 1", "syntax_error"), "metaclass": ("class M(type):\n    def __call__(c): raise OSError\nclass f(metaclass=M): pass", "error"),
        "getattr": ("def __getattr__(n): return lambda: 5", "no_entry"), "globals-later": ("def g(): globals()['f'] = lambda: 1", "no_entry"), "recursion": ("def f(): return f()", "error"),
    }.items()
] + [
    Attack(f"good-{index:02d}", program, ("ok",), output="5", task="validate")
    for index, program in enumerate(
        (
            "f = lambda: 5", "def f(x=5, /): return x", "def f(*, k=5): return k", "class A:\n    def __call__(self): return 5\nf = A()", "def d(g): return lambda: g() + 1\n@d\ndef f(): return 4", "n = 5\ndef f(): return n", "n = 4\ndef f():\n    global n\n    n = 5\n    return n",
            "def f(): return 4\ndef f(): return 5", "from functools import partial\nf = partial(int, '5')", "from __future__ import annotations\ndef f(x: nope = 5) -> nope: return x", "def f():\n    match 5:\n        case int(x): return x", "exec('def f(): return 5')", "globals()['f'] = lambda: 5",
            "def f():\r\n    return 5\r\n", "def f(): return (x := 5)", "def f():\n    try: return 1\n    finally: return 5", "class A:\n    @staticmethod\n    def f(): return 5\nf = A.f", "def f():\n    def f(): return 5\n    return f()", "import math\nf = lambda: int(math.pi) + 2",
            "if 1:\n    def f(): return 5", "f = g = lambda: 5", "ｆ = lambda: 5", "def f():\n    import itertools as i\n    return next(i.islice(i.count(5), 1))", "class f(int):\n    def __new__(cls): return 5", "f = int('5').__int__", "def f(): return 5 if __name__ else 0", "from typing import *\ndef f() -> List[int]: return 5",
        )
    )
]  # fmt: skip

VERDICTS = [*DETERMINISM, *VALUES, *COMPARE, *INPUTS, *VALIDITY]
