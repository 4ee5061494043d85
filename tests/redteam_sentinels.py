"""Honest programs that lean on all that an attacker may bend; see `attacking.SENTINELS`."""

from __future__ import annotations

ANY_WORDS = """
import collections, copy, decimal, fractions, functools, heapq, json, keyword, math, numbers, operator, random, re, string, struct, textwrap
class A:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return self.x == other.x
def f(xs):
    try:
        1 // 0
    except ZeroDivisionError as error:
        name = type(error).__name__
    built = len(xs), sum(xs), sorted(xs, reverse=True), str(5), repr('a'), isinstance(3, int), [*map(abs, [-1])], max(xs), range(3)[-1], 7 + 5
    text = 'a,b'.split(','), 'x'.upper(), f'{3.14159:.2f}', '%d' % 3, '-'.join(['p', 'q']), 'b\\u00e9'.encode(), int('12'), float('1.5'), 257
    kinds = isinstance(3, collections.abc.Sequence), isinstance('a', numbers.Number), issubclass(bool, int), A(1) == A(1), (lambda y: y)(4), name
    lib = math.sqrt(16), math.floor(2.5), re.sub('a+', 'b', 'caat'), json.dumps({'k': [1, None]}), struct.pack('<H', 258), keyword.kwlist[:2]
    more = collections.Counter('aab').most_common(1), list(collections.deque([1, 2])), functools.reduce(operator.add, xs), copy.deepcopy([xs])
    rest = str(decimal.Decimal(1) / 3), str(fractions.Fraction(2, 4)), heapq.nsmallest(1, xs), random.Random(7).randint(1, 99), string.digits
    return built, text, kinds, lib, more, rest, textwrap.dedent('  a'), len(keyword.kwlist), hasattr(math, 'azr'), {3, 1}, {'a': (1,)}, 5, 7, 9
"""
PLAIN_WORDS = """
import math, re, string, heapq, itertools, functools, operator, bisect
from collections import Counter, deque, defaultdict
from typing import List, Dict
@functools.lru_cache(None)
def g(n): return n if n < 2 else g(n - 1) + g(n - 2)
def f(xs: List[int]) -> Dict[str, int]:
    try:
        [][1]
    except IndexError:
        seen = isinstance(3, int), isinstance('a', str), callable(g), bool([]), 5 + 7, 1 == True, 257 * 2, -7 // 2, 'a' < 'b'
    d = defaultdict(list)
    for x in xs: d[x % 2].append(str(x))
    built = len(xs), sum(xs), sorted(xs, reverse=True), max(xs), min(xs), list(map(abs, [-1])), list(zip('ab', xs)), repr('a'), f'{3.14159:.2f}'
    text = 'a,b'.split(','), 'x'.upper(), '-'.join(['p', 'q']), '%d' % 3, int('12'), chr(97), ord('b'), 'caat'.replace('aa', 'b'), string.digits
    lib = math.sqrt(16), math.floor(2.5), re.sub('a+', 'b', 'caat'), heapq.nsmallest(1, xs), functools.reduce(operator.add, xs), bisect.bisect([1, 3], 2)
    more = Counter('aab').most_common(1), list(deque([1, 2])), list(itertools.chain([1], [2])), g(30), dict(d), {3, 1}, {'a': (1,)}, 5, 7, 9, (), ''
    return seen, built, text, lib, more
"""
