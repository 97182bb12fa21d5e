"""The losses of every stage as pure functions of tensors: no model, no data, nothing remembered.

Serves notebooks 01 to 14. One file a family, in the order of the lessons: `sft.py` (03) is the first. Each is short
enough to read whole, and is tested against the library that implements the same.
"""
