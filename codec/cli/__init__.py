"""The command ``codec``: arguments, progress, tables. What the bytes mean is known elsewhere."""
