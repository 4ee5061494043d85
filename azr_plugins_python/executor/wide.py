"""What the wide zygote adds before its lock: numpy and sympy, and builtin values for what they return. Only a zygote imports it.

A number that equals a builtin one exactly becomes that one. A symbolic expression becomes its text, as the released executor stored it.
Every other object of theirs, such as an array or a single-precision float, is no value.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from azr_plugins_python.executor import codec

Converter = Callable[[Any], object]

_MODULES = {
    "numpy": ("numpy", "numpy.char", "numpy.fft", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.random", "numpy.rec"),
    "sympy": ("sympy", "sympy.abc", "sympy.combinatorics", "sympy.crypto", "sympy.diffgeom", "sympy.stats", "sympy.vector"),
}
_TOP = ("numpy", "sympy", "mpmath")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SAME_EVERYWHERE = {"SYMPY_GROUND_TYPES": "python", "MPMATH_NOGMPY": "1"}
_DOUBLE_BITS = 53

_NUMPY_PROGRAM = """
import numpy as np
def f(xs):
    a = np.array(xs)
    m = np.outer(a, a) + np.eye(3)
    return [np.sum(a), np.mean(a), a.max() > 2], (m @ m).tolist(), float(np.linalg.det(m)), np.linalg.inv(m).shape, str(np.sort(a)[::-1])
"""
_SYMPY_PROGRAM = """
import sympy
def f(xs):
    x, y = sympy.symbols('x y')
    a = sympy.sympify('x^2 - 2*x + 1'), sympy.expand((x + y) ** 3), sympy.factor(x ** 2 - 1), sympy.simplify(sympy.sin(x) ** 2)
    b = sympy.diff(a[1], x), sympy.integrate(x ** 2, (x, 0, 1)), sympy.limit(1 / x, x, sympy.oo), sympy.Matrix([[1, 2], [3, 4]]).det()
    c = sympy.solve(x ** 2 - 4, x), sympy.factorint(60), sympy.isprime(97), sympy.gcd(12, 18), list(sympy.primerange(2, 20))
    return a, b, c, sympy.sqrt(2).evalf(), sympy.sympify('1/0').evalf(), sympy.lambdify(x, x + 1)(2), sympy.summation(x, (x, 1, 5))
"""
_CALLS = '["f",[[{"t":[[1,2,3]]},{"d":[]}]]]'
_PROGRAMS = {"numpy": _NUMPY_PROGRAM, "sympy": _SYMPY_PROGRAM}


class _Finder:
    """Finds these packages and nothing else in their folders, so that what else is installed there changes no result."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = list(folders)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, self.folders) if path is None and name in _TOP else None


def load(folders: Sequence[str]) -> tuple[str, ...]:
    """Imports what is installed, for one thread and without any other package, and teaches the codec. Returns the packages' names."""
    finder = _Finder(folders)
    settings = dict.fromkeys(_ONE_THREAD, "1") | _SAME_EVERYWHERE
    os.environ.update(settings)
    sys.meta_path.append(finder)
    found = tuple(name for name in _MODULES if _imported(name))
    sys.meta_path.remove(finder)
    for name in settings:
        del os.environ[name]
    if "numpy" in found:
        codec.converters.update(_numpy_converters())
    if "sympy" in found:
        codec.converters.update(_sympy_converters())
    return found


def warm_programs(packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Programs and calls that heat caches and import what these packages only import when it is used."""
    return ((_PROGRAMS[name], _CALLS) for name in packages)


def _imported(package: str) -> bool:
    try:
        for name in _MODULES[package]:
            import_module(name)
    except ImportError:
        return False
    return True


def single_threaded() -> bool:
    """Whether this process has one thread, as a process must that forks."""
    return len(os.listdir("/proc/self/task")) == 1


def address_space_mb() -> int:
    """What this process has mapped, in MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") >> 20


def _numpy_converters() -> dict[type, Converter]:
    """Scalars that equal a builtin number exactly, by exact type; `item` of the base class is numpy's own C code."""
    numpy: Any = import_module("numpy")
    exact = (numpy.bool_, numpy.int8, numpy.int16, numpy.int32, numpy.int64, numpy.uint8, numpy.uint16, numpy.uint32, numpy.uint64)
    return dict.fromkeys((*exact, numpy.longlong, numpy.ulonglong, numpy.float64, numpy.complex128), numpy.generic.item)


def _sympy_converters() -> dict[type, Converter]:
    """Numbers as numbers, and every other kind of expression that sympy itself has as text."""
    sympy: Any = import_module("sympy")
    special = sympy.S
    known = frozenset(_descendants(sympy.Basic))

    def text(value: Any) -> str:
        pending = [value]
        while pending:
            node = pending.pop()
            if type(node) not in known:
                raise codec.Unsupported(type(node))
            pending.extend(node.args)
        return str(value)

    def real(value: Any) -> object:
        return float(value) if value._prec == _DOUBLE_BITS else text(value)

    found: dict[type, Converter] = dict.fromkeys(known, text)
    found[sympy.Float] = real
    found |= dict.fromkeys(map(type, (special(7), special.Zero, special.One, special.NegativeOne)), lambda value: value.p)
    found |= dict.fromkeys(map(type, (special.Infinity, special.NegativeInfinity, special.NaN)), float)
    found |= dict.fromkeys(map(type, (special.true, special.false)), bool)
    return found


def _descendants(kind: type) -> Iterator[type]:
    child: type
    for child in type.__subclasses__(kind):
        yield child
        yield from _descendants(child)
