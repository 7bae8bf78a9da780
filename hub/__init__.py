"""Adapters for the Hugging Face Hub.

Pushing, pulling and serving compressed repositories are to come in this package. It uses only the
public names of :mod:`codec`, so whatever it does can be done by anyone.
"""
