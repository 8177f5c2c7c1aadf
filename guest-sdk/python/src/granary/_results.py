"""What `componentize_py_types` holds inside a component, for code that runs on a desk."""

from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")
E = TypeVar("E")


@dataclass
class Some(Generic[S]):
    """The inner value of an option within an option."""

    value: S


@dataclass
class Ok(Generic[T]):
    """A result that went well, where it is a value among others."""

    value: T


@dataclass
class Err(Generic[E], Exception):
    """A result that did not. Raise it to answer a method's `err`."""

    value: E
