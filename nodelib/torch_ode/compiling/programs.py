"""How a loop becomes a compiled program: torch.compile, its guards, and what it cannot take of a func.

A program belongs to one func, kind of loop, shape, dtype, device and method. func comes as an argument, so that torch's
guards look at it before each run: its parameters are inputs, an attribute or a mode that func reads and that has
changed is compiled anew. A counter (``self.nfe += 1``) would be such an attribute at each call. So torch is shown a
``stand_in``, which shares everything with func but for its counters, and the counting is made up for afterwards.

The numpy twin has no such file.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import FunctionType, MethodType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from nodelib.common.arguments import warn

AGAIN = 2  # how often a program is compiled anew, before func is left as it is
OFTEN = "a number or an attribute that func uses keeps changing: make it a tensor"
BACKEND = "inductor"  # another of torch.compile's for tests, which trace the same program and build nothing
# Guards on torch's and our own functions: half of them all, and they do not change
OURS = (
    "__import__('torch')",
    "G['__import_torch']",
    "G['__import_torch_dot_",
    "G['__import_nodelib_dot_torch_ode_dot_",
    "rows",
    "norm",
    "kept",
    "names",
    "flow",
)


class Changed(Exception):
    """func was compiled anew in the midst of a solve: what a first look at it found may hold no more."""


class Stay(Exception):
    """A solve cannot be compiled, for the reason given: it runs as without the option."""


def missing(device: str) -> str:
    """What torch.compile lacks on this machine, a reason for ``Stay``; empty if nothing."""
    return _missing(device) if BACKEND == "inductor" else ""


@cache
def _missing(device: str) -> str:
    if not torch._dynamo.is_dynamo_supported():
        return f"torch {torch.__version__} has no torch.compile for Python {sys.version.split()[0]} here"
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception:
        return "torch.compile finds no C++ compiler (on the PATH, or in the environment variable CXX)"
    from torch.utils._triton import has_triton

    return "" if device == "cpu" or has_triton() else f"torch.compile finds no Triton for {device}"


class Program:
    """``function(func, *tensors)``, compiled at its first call; ``compiles`` says how often it was.

    To be called under no_grad: no loop can be differentiated through.
    """

    def __init__(self, function: Callable[..., Any], what: str, device: str):
        self.what, self.device, self.compiles, self.given_up = what, device, 0, False
        # a code object of its own, since torch counts by code how often it has compiled
        own = FunctionType(
            function.__code__.replace(co_name=f"{function.__name__}_{what.replace(' ', '_')}"),
            function.__globals__,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        options: Any = {"guard_filter_fn": lambda guards: [not guard.name.startswith(OURS) for guard in guards]}
        self.run = torch.compile(own, fullgraph=True, dynamic=False, backend=self.backend, options=options)

    def backend(self, graph: Any, inputs: Any, **options: Any) -> Any:
        """Build the traced program."""
        if self.compiles > AGAIN:
            self.given_up = True
            raise Stay(OFTEN)
        self.compiles += 1
        if BACKEND != "inductor":
            return torch._dynamo.lookup_backend(BACKEND)(graph, inputs)
        from nodelib.torch_ode.compiling import building  # with torch's builder, which takes its time

        with building.quiet():
            from torch._inductor.compile_fx import compile_fx

            settings, decompositions = building.settings(self.device), building.decompositions()
            return compile_fx(graph, inputs, config_patches=settings, decompositions=decompositions)

    def __call__(self, *args: Any) -> Any:
        if self.given_up:
            raise Stay(OFTEN)
        before, start, hooks = self.compiles, time.perf_counter(), torch._C._autograd  # type: ignore[attr-defined]
        forbidden = hooks._saved_tensors_hooks_get_disabled_error_message()
        try:
            found = self.run(*args)
        except Exception as error:
            if forbidden is None:  # a trace that fails within torch.func leaves them so
                hooks._saved_tensors_hooks_enable()
            if self.given_up:
                raise Stay(OFTEN) from None
            if before and not _from_compiler(error):
                raise
            raise Stay(f"torch.compile cannot take func: {_explanation(error)}") from error
        if self.compiles > before:
            seconds = time.perf_counter() - start
            again = "again, since func or its surroundings changed, " if before else ""
            warn(f"compiled {self.what} {again}in {seconds:.1f} s; further calls like this one use it")
        if self.device != "cpu":  # the next run of a CUDA graph writes over what this one returns
            found = tuple(x.clone() for x in found)
        return found


def _from_compiler(error: Exception) -> bool:
    """Did torch.compile raise it, and not what it made?"""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def _explanation(error: Exception) -> str:
    """The line of torch's many that says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    said = [line.partition(":")[2].strip() for line in lines if line.startswith("Explanation:")]
    return (said or [" ".join(lines[: 1 + lines[0].endswith(":")])])[0].rstrip(".")[:200]


class Counter(NamedTuple):
    """An integer attribute that func changes by ``step`` at each evaluation, and whose it is."""

    owner: ref
    name: str
    step: int


class Compiled:
    """All programs of one func, and what is known of it.

    programs: by what they are made for.  known: by the arguments, what a first look at them found, or why they stay
    eager.  sizes: the batch sizes that programs were made for, by the shape of a row.  lengths: the numbers of output
    times that there were.  read: whether func uses its
    counters.
    """

    def __init__(self) -> None:
        self.programs: dict[Any, Program] = {}
        self.known: dict[Any, Any] = {}
        self.sizes: dict[Any, list[int]] = {}
        self.lengths: set[int] = set()
        self.said: set[str] = set()
        self.counters: list[Counter] = []
        self.read = False

    def say(self, reason: str) -> None:
        """Warn, once, that the option compile is left aside."""
        if reason not in self.said:
            self.said.add(reason)
            warn(f"option 'compile' is left aside, and the solve runs as without it: {reason}")

    def program(self, key: Any, function: Callable[..., Any], what: str, device: str) -> Program:
        """The program for this key; ``function`` makes a new one."""
        if key not in self.programs:
            self.programs[key] = Program(function, what, device)
        return self.programs[key]

    def compiles(self) -> int:
        """How often programs were compiled again."""
        return sum(max(program.compiles - 1, 0) for program in self.programs.values())

    def shown(self, func: Any) -> Any:
        """func, or its stand-in, as torch is shown it."""
        if not self.counters:
            return func
        names: dict[int, set[str]] = {}
        for counter in self.counters:
            names.setdefault(id(counter.owner()), set()).add(counter.name)
        if isinstance(func, MethodType):
            return MethodType(func.__func__, stand_in(func.__self__, names))
        return stand_in(func, names)

    def count(self, before: Mapping[Any, int], evaluations: int) -> None:
        """Let the counters stand as if func itself had been evaluated so often since ``before``."""
        for counter in self.counters:
            owner = counter.owner()
            if owner is not None and (id(owner), counter.name) in before:
                vars(owner)[counter.name] = before[id(owner), counter.name] + counter.step * evaluations

    def counts(self) -> dict[Any, int]:
        """How the counters stand."""
        pairs = ((counter.owner(), counter.name) for counter in self.counters)
        return {(id(owner), name): vars(owner)[name] for owner, name in pairs if owner is not None}


ALL: WeakKeyDictionary[Any, Compiled] = WeakKeyDictionary()
OTHERS = Compiled()  # of all that cannot be referred to weakly


def compiled_of(func: Any) -> Compiled:
    """What was compiled for func: for a function by its code, so that a lambda made anew at each call is the same."""
    anchor = getattr(func, "__self__", None) if isinstance(func, MethodType) else getattr(func, "__code__", func)
    try:
        return ALL.setdefault(anchor, Compiled())
    except TypeError:
        return OTHERS


def parts_of(func: Any) -> Iterator[Any]:
    """The objects that func is made of: a Module and those in it, or the object that it is or belongs to."""
    owner = func.__self__ if isinstance(func, MethodType) else func
    yield from owner.modules() if isinstance(owner, nn.Module) else (owner,)


def integers_of(func: Any) -> dict[tuple[int, str], tuple[Any, int]]:
    """The integer attributes of func and what it is made of, with their owners."""
    return {
        (id(part), name): (part, value)
        for part in parts_of(func)
        for name, value in getattr(part, "__dict__", {}).items()
        if type(value) is int
    }


def counters_between(before: Mapping[Any, tuple[Any, int]], after: Mapping[Any, tuple[Any, int]]) -> list[Counter]:
    """The counters, from the integer attributes before and after one evaluation of func."""
    pairs = ((key, after[key], value) for key, (_, value) in before.items() if key in after)
    return [Counter(ref(part), key[1], now - was) for key, (part, now), was in pairs if now != was]


def stand_in(part: Any, counted: Mapping[int, set[str]]) -> Any:
    """An object like ``part`` that shares its attributes, but whose counters are always 0; part itself if it and what
    is in it have none."""
    own = frozenset(counted.get(id(part), ()))
    children = vars(part).get("_modules", {}) if len(counted) > bool(own) else {}
    others = {name: twin for name, child in children.items() if (twin := stand_in(child, counted)) is not child}
    if not (own or others):
        return part
    twin = object.__new__(_class_without(type(part), own))
    attributes = {**vars(part), "_modules": {**children, **others}} if others else vars(part)
    object.__setattr__(twin, "__dict__", attributes)
    return twin


@cache
def _class_without(kind: type, counters: frozenset[str]) -> type:
    """A subclass in which these attributes are 0, whatever is assigned to them."""
    constant = property(lambda self: 0, lambda self, value: None)
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, **dict.fromkeys(counters, constant)})


def mark_batch(*pairs: tuple[Tensor, int]) -> None:
    """Let a program be made for any size of these axes."""
    for x, axis in pairs:
        torch._dynamo.maybe_mark_dynamic(x, axis)
