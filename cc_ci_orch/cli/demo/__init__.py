"""demo: the whole job in a throw-away instance, with faults made on purpose.

`command.py` runs it; `instance.py` is the instance, `plan.py` what its agents read, `faults.py`
what is done to them, `screen.py` what a person sees, `summary.py` what came of it.
"""
