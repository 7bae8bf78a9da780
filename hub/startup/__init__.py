"""What a Python that ``codec run`` starts runs before its program: a folder for PYTHONPATH, not to be imported."""
