"""Measurements of weft beside its peers: sizes, speeds, memory. See README.md."""
