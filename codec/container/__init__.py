"""Records, header, index, trailer: bytes <-> records. Knows nothing of tensors or stages (FORMAT.md, 2, 3, 7, 8)."""
