"""cc-ci-orch: keeps two coding agents, a builder and an adversary, at work for days.

Start reading at `core/decide.py`: what to do is decided there, by one pure function over a
snapshot of the world, the watchdog's memory and the tunables. `shell/observe.py` makes the
snapshot, `shell/apply.py` carries the decision out, `watchdog.py` does so in a loop,
`supervisor.py` is the process around the loop, and `cli/` is what people call.

Nothing in `core/` touches the world; nothing outside `cli/` constructs an adapter.
"""

__version__ = "0.1.0"
