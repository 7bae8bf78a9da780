"""Encoder-only choices: how to cut an element into planes, and which stages and tables for each plane.

Every number that a choice depends on is an integer, so that all machines choose alike.
"""

from codec.planner.plan import Plan
from codec.planner.span import plan_span

__all__ = ["Plan", "plan_span"]
