"""One module for each wire-stable stage, and the layout of a span, which names them (FORMAT.md, sections 4-6)."""
