"""What single lessons run many times: their set-ups, and in `results/` what came of them.

Imported by notebooks, exercises and tools only; no other module of the package needs it.
"""
