"""What single lessons run many times: their set-ups, and in `results/` what came of them.

Serves notebooks 09 to 12. Imported by notebooks, exercises and tools only; no other module of the package needs it.
"""
