#!/usr/bin/env bash
# The smallest agent that the `command` backend can run: no model, no network.
# It says what it was told, pretends to work on it, and waits for the next prompt.
#
#   LOOP_COMMAND="'$PWD/examples/echo-agent.sh' {role} {prompt_file}"
set -u

role=${1:-agent}
prompt_file=${2:-}
turns=0

say() { printf '%(%H:%M:%S)T %s: %s\n' -1 "$role" "$*"; }

work() {
    turns=$((turns + 1))
    say "prompt $turns, $(printf '%s\n' "$1" | wc -l) line(s): $(printf '%s\n' "$1" | head -n 1 | cut -c1-60)"
    for step in 1 2 3; do
        sleep 1
        say "working on prompt $turns, step $step of 3"
    done
    say "done with prompt $turns; waiting for the next one"
}

trap 'say "asked to end"; exit 0' TERM INT

say "started in $PWD, process $$"
if [ -n "$prompt_file" ]; then
    work "$(cat -- "$prompt_file")"
fi
while IFS= read -r line; do
    # The lines of one paste come together; half a second of silence ends a prompt.
    while IFS= read -r -t 0.5 more; do
        line+=$'\n'$more
    done
    work "$line"
done
say "end of input"
