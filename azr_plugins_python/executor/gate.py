"""The gate of the fast lane: which compiled programs may share a process with others. Imports nothing of the project.

It protects programs from one another, not the host from programs: the jail does that, and holds without it. It reads bytecode names, and is
fail-safe: what it does not know goes to the fork lane, where every program has a process of its own.
"""

from __future__ import annotations

import builtins
import collections
import dis
import gc
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import CodeType, ModuleType

Gate = Callable[[CodeType], bool]

VERSIONS = ((3, 11), (3, 12), (3, 13))
"""Versions of Python whose bytecode was read; any other has no fast lane."""
_MAX_NAMES = 200
"""Below this no name needs an EXTENDED_ARG, so the argument of an import is the byte beside it."""
_MAX_NESTING = 20
_ASYNC_FLAGS = 0x80 | 0x200  # coroutine, asynchronous generator


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# fmt: off
_OPERATIONS = words("""
    CACHE POP_TOP PUSH_NULL NOP RESUME COPY SWAP EXTENDED_ARG END_FOR END_SEND INTERPRETER_EXIT UNARY_POSITIVE UNARY_NEGATIVE UNARY_NOT
    UNARY_INVERT BINARY_OP BINARY_SUBSCR BINARY_SLICE STORE_SLICE STORE_SUBSCR DELETE_SUBSCR GET_ITER FOR_ITER GET_LEN
    GET_YIELD_FROM_ITER SEND YIELD_VALUE RETURN_GENERATOR ASYNC_GEN_WRAP TO_BOOL LOAD_ASSERTION_ERROR RETURN_VALUE RETURN_CONST
    LOAD_CONST LOAD_NAME STORE_NAME DELETE_NAME LOAD_GLOBAL STORE_GLOBAL LOAD_FAST STORE_FAST DELETE_FAST LOAD_FAST_CHECK
    LOAD_FAST_AND_CLEAR LOAD_FAST_LOAD_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST LOAD_CLOSURE LOAD_DEREF STORE_DEREF DELETE_DEREF
    MAKE_CELL COPY_FREE_VARS MAKE_FUNCTION SET_FUNCTION_ATTRIBUTE BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_MAP BUILD_CONST_KEY_MAP
    BUILD_STRING BUILD_SLICE LIST_TO_TUPLE LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE UNPACK_SEQUENCE
    UNPACK_EX FORMAT_VALUE FORMAT_SIMPLE FORMAT_WITH_SPEC CONVERT_VALUE COMPARE_OP IS_OP CONTAINS_OP JUMP_FORWARD JUMP_BACKWARD
    JUMP_BACKWARD_NO_INTERRUPT JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_TRUE
    POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_BACKWARD_IF_NONE
    POP_JUMP_BACKWARD_IF_NOT_NONE POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE PRECALL CALL KW_NAMES CALL_KW
    CALL_FUNCTION_EX LOAD_METHOD LOAD_ATTR IMPORT_NAME IMPORT_FROM PUSH_EXC_INFO POP_EXCEPT RERAISE RAISE_VARARGS CHECK_EXC_MATCH
    MATCH_MAPPING MATCH_SEQUENCE MATCH_KEYS CALL_INTRINSIC_1
""")
"""What a program may do. Not among it: attributes stored or deleted, classes, `with`, `import *`, `await`, class patterns, `super`."""
_INTRINSICS = frozenset((3, 5, 6))
"""Of `CALL_INTRINSIC_1` (3.12 and later): the end of a generator, unary plus, list to tuple. Its number 2 is `import *`."""

BUILTINS = words("""
    abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float frozenset hash hex int isinstance
    issubclass iter len list map max min next oct ord pow print range repr reversed round set slice sorted str sum tuple zip
    ArithmeticError AssertionError AttributeError BaseException EOFError Exception FloatingPointError IndexError KeyError LookupError
    MemoryError NameError OverflowError RecursionError RuntimeError StopIteration SyntaxError TypeError
    UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError ValueError ZeroDivisionError
""")
"""Builtins that keep nothing and reach nothing."""

_TYPES = (str, bytes, list, tuple, dict, set, frozenset, int, float, complex, bool, range, slice, enumerate, Exception)
_COLLECTIONS = (collections.Counter, collections.deque, collections.OrderedDict)
_UNFIT = frozenset({"with_traceback", "add_note", "format", "format_map"})
"""Methods of these types that store, or that read attributes by a text."""

MODULES: dict[str, frozenset[str] | None] = {
    "__future__": words("annotations division print_function"),
    "math": None, "itertools": None, "heapq": None, "bisect": None,
    "collections": words("Counter defaultdict OrderedDict deque"),
    "typing": words("""
    List Dict Tuple Set Optional Union Any Callable Iterable Iterator Sequence Mapping FrozenSet Deque DefaultDict Generator Hashable
"""),
    "functools": words("reduce lru_cache cache partial cmp_to_key"),
    "string": words("""
    ascii_letters ascii_lowercase ascii_uppercase digits punctuation whitespace hexdigits octdigits printable
"""),
    "re": words("""
    sub subn match search findall finditer fullmatch split escape I IGNORECASE M MULTILINE S DOTALL group groups groupdict start end span
"""),
    "operator": words("""
    add sub mul itemgetter mod truediv floordiv and_ or_ xor neg lt le eq ne gt ge contains
"""),
}
# fmt: on
"""Modules that a program may import, and the names that it may take from them; None: all public ones that are not modules."""


def allowed_names() -> frozenset[str]:
    """Names that a program may use for whatever it likes."""
    names = set(BUILTINS) | set(MODULES)
    for kind in (*_TYPES, *_COLLECTIONS):
        names.update(name for name in dir(kind) if not name.startswith("_"))
    for module, chosen in MODULES.items():
        loaded = sys.modules.get(module)
        names |= chosen if chosen is not None else _public(loaded)
    withheld = {name for name in dir(builtins) if name not in BUILTINS}
    return frozenset(names - _UNFIT - withheld)


def make_gate() -> Gate | None:
    """The gate for what is loaded now; None where this version of Python was not read. Load everything first."""
    if sys.version_info[:2] not in VERSIONS or sys.implementation.name != "cpython":
        return None
    allowed = allowed_names()
    reachable = frozenset(_attributes_of_everything()) - allowed
    modules = frozenset(name for name in MODULES if name in sys.modules)
    known = {dis.opmap[name] for name in _OPERATIONS if name in dis.opmap}
    refused = bytes(number for number in range(256) if number not in known)
    import_name, intrinsic = dis.opmap["IMPORT_NAME"], dis.opmap.get("CALL_INTRINSIC_1")

    def admits(code: CodeType, depth: int = 0) -> bool:
        operations, names = code.co_code[::2], code.co_names
        if len(names) > _MAX_NAMES or depth > _MAX_NESTING or code.co_flags & _ASYNC_FLAGS:
            return False
        if operations.translate(None, refused) != operations:
            return False
        if any(name not in allowed and (name in reachable or (name[0] == "_" and name != "_")) for name in names):
            return False
        if any(name.startswith("__") for name in code.co_varnames + code.co_freevars + code.co_cellvars):
            return False
        if import_name in operations and not {names[at] for at in _arguments(code, import_name)} <= modules:
            return False
        if intrinsic is not None and intrinsic in operations and not _arguments(code, intrinsic) <= _INTRINSICS:
            return False
        return all(admits(inner, depth + 1) for inner in code.co_consts if type(inner) is CodeType)

    return admits


def _arguments(code: CodeType, operation: int) -> set[int]:
    """The bytes beside an operation wherever it occurs."""
    raw = code.co_code
    return {raw[at + 1] for at in range(0, len(raw), 2) if raw[at] == operation}


def _public(module: ModuleType | None) -> set[str]:
    found = vars(module) if module else {}
    return {name for name, item in found.items() if not name.startswith("_") and not isinstance(item, ModuleType)}


def _attributes_of_everything() -> Iterable[str]:
    """Every name by which anything could be had from any object that is alive: a name that is not here is only the program's own."""
    kinds, pending = set[type](), [object]
    while pending:
        kind = pending.pop()
        kinds.add(kind)
        pending.extend(child for child in type.__subclasses__(kind) if child not in kinds)
    for holder in (*kinds, *sys.modules.values(), builtins):
        yield from (name for name in getattr(holder, "__dict__", ()) if isinstance(name, str))
    for item in gc.get_objects():
        with suppress(AttributeError):
            yield from (name for name in object.__getattribute__(item, "__dict__") if isinstance(name, str))
