"""The values in a pickle, without unpickling it: a machine that executes nothing.

A pickle is a program: names of callables and calls of them. `pickletools.genops` reads its
instructions; here each is carried out on symbols. A call becomes a `Made`, which remembers
the name and the arguments; nothing is imported, looked up or called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

MAX_INSTRUCTIONS = 200_000  # `TrainingArguments` take some 500
MAX_ITEMS = 100_000  # entries of all containers together


@dataclass(frozen=True, slots=True)
class Name:
    """A global that the pickle names: ``torch.float32``."""

    path: str


@dataclass(slots=True, eq=False)
class Made:
    """What calling `name` with `args` would have made, and the state it would have been given."""

    name: str
    args: tuple[Any, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)


_MARK = object()  # where on the stack the items of a container begin


def values(
    data: bytes, instructions: int = MAX_INSTRUCTIONS, items: int = MAX_ITEMS
) -> Iterator[Any]:
    """Yield the value of each pickle in `data`, one after the other.

    Parameters
    ----------
    instructions, items
        How many are read, of all pickles together and of all containers of one together.

    Raises
    ------
    ValueError
        If it is no pickle, is damaged, or is longer than any set of arguments.
    """
    file = BytesIO(data)
    budget = instructions
    while file.tell() < len(data):
        machine = Machine(items)
        for opcode, argument, _ in _instructions(file):
            budget -= 1
            if budget < 0:
                raise ValueError(f"a pickle of more than {instructions:,} instructions: not read")
            machine.step(opcode.name, argument)
        yield machine.result()


def _instructions(file: BytesIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(file)
    except (ValueError, IndexError, UnicodeError, OverflowError) as error:
        raise ValueError(f"no pickle: {error}") from None


class Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, most: int = MAX_ITEMS) -> None:
        self._most = most
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._items = 0

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction on symbols.

        Raises
        ------
        ValueError
            If the stack does not hold what it needs.
        """
        try:
            if name in _CONSTANTS:
                self.push(_CONSTANTS[name])
            elif name in _LITERALS:
                self.push(argument)
            elif name in _STEPS:
                _STEPS[name](self, argument)
        except (IndexError, KeyError) as error:
            raise ValueError(f"a damaged pickle: {name} finds {error}") from None

    def result(self) -> Any:
        """Return the value that the pickle would have given."""
        return self._stack[-1] if self._stack else None

    def push(self, value: Any) -> None:
        """Lay a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """Take the value off the top of the stack."""
        return self._stack.pop()

    def pop_marked(self) -> list[Any]:
        """Take off everything above the last mark, and the mark."""
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError("no mark")
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def contain(self, kind: Callable[[list[Any]], Any], items: list[Any]) -> None:
        """Make a container of `items`."""
        self._count(items)
        self.push(kind(items))

    def extend(self, items: list[Any]) -> None:
        """Add items to the list on top of the stack."""
        self._count(items)
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(items)

    def assign(self, items: list[Any]) -> None:
        """Put keys and values into the mapping on top (a `Made` may be an ordered dictionary)."""
        self._count(items)
        top = self._stack[-1]
        target = top.state if isinstance(top, Made) else top
        if isinstance(target, dict):
            target.update(_mapping(items))

    def call(self) -> None:
        """Note a call: a callable and its arguments are replaced by what stands for the result."""
        arguments, called = self.pop(), self.pop()
        self.make(called, arguments if isinstance(arguments, tuple) else ())

    def call_with_names(self) -> None:
        """Note a call with arguments by name, which are kept as its state."""
        named = self.pop()
        self.call()
        self._give(named)

    def call_marked(self) -> None:
        """Note a call of the first value above the mark with the others."""
        called, *arguments = self.pop_marked()
        self.make(called, tuple(arguments))

    def make(self, called: Any, arguments: tuple[Any, ...]) -> None:
        """Lay what stands for the result of a call on the stack."""
        self.push(Made(called.path if isinstance(called, Name) else "?", arguments))

    def build(self) -> None:
        """Give the object on top its state: a mapping, or a pair of one and another for slots."""
        state = self.pop()
        for part in state if isinstance(state, tuple) else (state,):
            self._give(part)

    def _give(self, state: Any) -> None:
        if isinstance(self._stack[-1], Made) and isinstance(state, dict):
            self._count(state)
            self._stack[-1].state.update(state)

    def name(self) -> None:
        """Make a name of a module and an attribute."""
        attribute, module = self.pop(), self.pop()
        self.push(Name(f"{module}.{attribute}"))

    def put(self, key: Any) -> None:
        """Remember the value on top, under `key` or the next number."""
        self._memo[len(self._memo) if key is None else int(key)] = self._stack[-1]

    def get(self, key: Any) -> None:
        """Lay a remembered value on the stack."""
        self.push(self._memo[int(key)])

    def _count(self, items: Sized) -> None:
        self._items += len(items)
        if self._items > self._most:
            raise ValueError(f"a pickle of more than {self._most:,} items: not read")


def _mapping(items: list[Any]) -> dict[Any, Any]:
    pairs = zip(items[::2], items[1::2], strict=False)
    return {key: value for key, value in pairs if isinstance(key, (str, int))}


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
     "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
     "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)  # fmt: skip
# PROTO, FRAME and STOP change nothing.
_STEPS: dict[str, Callable[[Machine, Any], object]] = {
    "MARK": lambda machine, _: machine.push(_MARK),
    "DUP": lambda machine, _: machine.push(machine.result()),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_marked(),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "TUPLE1": lambda machine, _: machine.push((machine.pop(),)),
    "TUPLE2": lambda machine, _: machine.push((machine.pop(), machine.pop())[::-1]),
    "TUPLE3": lambda machine, _: machine.push((machine.pop(), machine.pop(), machine.pop())[::-1]),
    "TUPLE": lambda machine, _: machine.contain(tuple, machine.pop_marked()),
    "LIST": lambda machine, _: machine.contain(list, machine.pop_marked()),
    "FROZENSET": lambda machine, _: machine.contain(list, machine.pop_marked()),
    "DICT": lambda machine, _: machine.contain(_mapping, machine.pop_marked()),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_marked()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.pop_marked()),
    "SETITEM": lambda machine, _: machine.assign([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.assign(machine.pop_marked()),
    "GLOBAL": lambda machine, name: machine.push(Name(name.replace(" ", ".", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.name(),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.call(),
    "NEWOBJ_EX": lambda machine, _: machine.call_with_names(),
    "OBJ": lambda machine, _: machine.call_marked(),
    "INST": lambda machine, name: machine.make(
        Name(name.replace(" ", ".", 1)), tuple(machine.pop_marked())
    ),
    "BUILD": lambda machine, _: machine.build(),
    "PUT": Machine.put,
    "BINPUT": Machine.put,
    "LONG_BINPUT": Machine.put,
    "MEMOIZE": Machine.put,
    "GET": Machine.get,
    "BINGET": Machine.get,
    "LONG_BINGET": Machine.get,
    # Tensors' storages, extensions, buffers: no arguments, but they must keep their place.
    "PERSID": lambda machine, _: machine.push(Made("?")),
    "BINPERSID": lambda machine, _: machine.make(None, (machine.pop(),)),
    "EXT1": lambda machine, _: machine.push(Made("?")),
    "EXT2": lambda machine, _: machine.push(Made("?")),
    "EXT4": lambda machine, _: machine.push(Made("?")),
    "NEXT_BUFFER": lambda machine, _: machine.push(Made("?")),
}
