"""A part of the console: its pages, and its place in the navigation."""

from dataclasses import dataclass

from flask import Blueprint

__all__ = ["Section"]


@dataclass(frozen=True, slots=True)
class Section:
    """`title` is what the navigation shows, `first` the endpoint of its first page: `calls.recent`."""

    title: str
    first: str
    pages: Blueprint
