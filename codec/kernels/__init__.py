"""Jitted loops over flat arrays. They allocate no outputs, never raise, and import nothing else of codec.

A kernel takes arrays and integers and returns an integer: a position, a count, or -1 when its input is
corrupt. It is memory-safe for any input whatever; what that rests on is said above each loop.
"""
