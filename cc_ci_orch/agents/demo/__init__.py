"""The demo agents: a builder and an adversary that do a small real job without any model.

They show what the program does with agents, and follow docs/protocol.md to the letter; what
they know of each other is what stands in the work repository. `backend.py` is the backend as
the program sees it; the rest is the agent, which is a program of its own (`__main__.py`).
"""
