"""Histories of the work branch -> what counts, and what is a violation."""

from __future__ import annotations

import json

import pytest

from cc_ci_orch.core import codec
from cc_ci_orch.core.fold import JUDGED_KEPT
from cc_ci_orch.core.ledger import Breach, Claim, Ledger, Violation, enter, role_of
from cc_ci_orch.core.protocol import PHASE, File
from tests.histories import Branch, section


def gate(branch: Branch, id: str = "V1") -> str:
    """The gate in words, as the branch now stands."""
    state = branch.look()
    found = next(g for g in (*state.gates, state.end) if g.id == id)
    claim = f"{found.claim.word} #{found.claim.attempt}" if found.claim else "-"
    verdict = f"{found.verdict.word} #{found.verdict.attempt}" if found.verdict else "-"
    more = " open" * found.open + " passed" * found.passed
    return f"{claim} {verdict}{more}"


# ------------------------------------------------------------------------ claims and verdicts


def test_a_claim_is_open_until_its_verdict() -> None:
    branch = Branch("V1")
    assert gate(branch) == "- -"
    branch.builder("- V1: WIP")
    assert gate(branch) == "- -"
    branch.builder("- V1: CLAIMED")
    assert gate(branch) == "CLAIMED #1 - open"
    branch.adversary("- V1: FAIL #1")
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    branch.builder("- V1: CLAIMED #2")
    assert gate(branch) == "CLAIMED #2 FAIL #1 open"
    branch.adversary("- V1: FAIL #1", "- V1: PASS #2")
    assert gate(branch) == "CLAIMED #2 PASS #2 passed"


def test_claiming_the_same_attempt_again_after_a_fail_opens_nothing() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: FAIL")
    branch.builder("- V1: WIP")
    branch.builder("- V1: CLAIMED — better now")
    assert gate(branch) == "CLAIMED #1 FAIL #1"


def test_a_verdict_changed_is_the_new_one() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: PASS")
    branch.adversary("- V1: PASS", "- V1: FAIL — on second thoughts")
    assert gate(branch) == "CLAIMED #1 FAIL #1"


def test_wip_takes_a_claim_back() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED #2")
    branch.builder("- V1: CLAIMED #2", "- V1: WIP #2")
    assert gate(branch) == "- -"


def test_a_verdict_written_in_advance_passes_nothing() -> None:
    branch = Branch("V1")
    branch.adversary("- V1: PASS #1")
    assert gate(branch) == "- -"
    branch.builder("- V1: CLAIMED #1")
    assert gate(branch) == "CLAIMED #1 - open"


def test_a_verdict_written_in_advance_counts_from_the_next_commit_of_its_file() -> None:
    branch = Branch("V1")
    branch.adversary("- V1: PASS #1")
    branch.builder("- V1: CLAIMED #1")
    branch.adversary("- V1: PASS #1", "and some prose")
    assert gate(branch) == "CLAIMED #1 PASS #1 passed"


def test_a_higher_verdict_closes_a_claim_but_not_the_claim_of_its_own_number_to_come() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED #1")
    branch.adversary("- V1: PASS #2")
    assert gate(branch) == "CLAIMED #1 PASS #2 passed"
    branch.builder("- V1: CLAIMED #2")
    assert gate(branch) == "CLAIMED #2 PASS #2 open"
    branch.adversary("- V1: PASS #2", "looked again")
    assert gate(branch) == "CLAIMED #2 PASS #2 passed"


def test_a_late_verdict_leaves_the_newer_claim_open() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED #1")
    branch.builder("- V1: CLAIMED #2")
    branch.adversary("- V1: PASS #1")
    assert gate(branch) == "CLAIMED #2 PASS #1 open"


def test_a_line_that_was_never_the_newest_is_no_claim() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED #1", "- V1: WIP #2")
    branch.adversary("- V1: PASS #1")
    assert gate(branch) == "- -"


def test_the_owner_deletes_the_file_and_says_nothing_any_more() -> None:
    branch = Branch("V1", "V2")
    branch.builder("- V1: CLAIMED", "- V2: CLAIMED")
    branch.commit("adversary", status=section("- V1: CLAIMED"))
    assert gate(branch, "V2") == "CLAIMED #1 - open"
    branch.commit("builder", status=None)
    assert gate(branch) == gate(branch, "V2") == "- -"


def test_many_commits_seen_at_once_are_judged_one_by_one() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: FAIL")
    branch.builder("- V1: CLAIMED #2")
    branch.adversary("- V1: FAIL", "- V1: PASS #2")
    assert gate(branch) == "CLAIMED #2 PASS #2 passed"


# ---------------------------------------------------------------------------------- ownership


@pytest.mark.parametrize("who", ["builder", "orchestrator-x", "eve@example.org", "upgrader"])
def test_a_pass_by_anyone_but_the_adversary_is_a_violation(who: str) -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.poll()
    commit = branch.commit(who, review=section("- V1: PASS"))
    by = "builder" if who == "builder" else ""
    assert branch.poll() == (Violation(Breach.AUTHOR, commit.id, File.REVIEW, by),)
    assert branch.poll() == ()
    assert gate(branch) == "CLAIMED #1 - open"


def test_the_orchestrator_may_judge_but_not_claim() -> None:
    branch = Branch("V1", "V2")
    branch.builder("- V1: CLAIMED")
    branch.commit("orchestrator", review=section("- V1: PASS"))
    assert gate(branch) == "CLAIMED #1 PASS #1 passed"
    commit = branch.commit("orchestrator", status=section("- V1: CLAIMED", "- V2: CLAIMED"))
    assert branch.poll() == (Violation(Breach.AUTHOR, commit.id, File.STATUS, "orchestrator"),)
    assert gate(branch, "V2") == "- -"


def test_an_identity_is_an_exact_address() -> None:
    assert role_of("builder@cc-ci.invalid", "cc-ci") == "builder"
    for email in ("builder@cc-ci.invalid.example", "Builder@cc-ci.invalid", "builder@x.invalid"):
        assert role_of(email, "cc-ci") == ""


def test_one_commit_that_breaks_into_both_files_is_two_violations() -> None:
    branch = Branch("V1")
    branch.commit("eve@example.org", status=section(), review=section())
    assert [v.file for v in branch.poll()] == [File.STATUS, File.REVIEW]


def test_a_change_of_prose_is_a_violation_too() -> None:
    branch = Branch("V1")
    branch.adversary("- V1: FAIL")
    branch.commit("builder", review=section("- V1: FAIL", "not true"))
    assert len(branch.poll()) == 1


def test_the_last_rightful_version_keeps_counting() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: FAIL")
    branch.commit("builder", review=section("- V1: PASS"))
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    branch.commit("builder", review=None)
    assert gate(branch) == "CLAIMED #1 FAIL #1"


def test_a_later_commit_of_the_owner_launders_nothing() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.commit("builder", review=section("- V1: PASS"))
    branch.commit("adversary", review=section("- V1: PASS", "- V2: FAIL", "prose"))
    assert gate(branch) == "CLAIMED #1 - open"
    branch.commit("adversary", review=section("  -  V1: PASS", "- V2: FAIL", "- V1: FAIL"))
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    branch.commit("adversary", review=section("- V1: FAIL", "- V1: PASS"))
    assert gate(branch) == "CLAIMED #1 FAIL #1", "moving it is not writing it"


def test_the_owner_writes_the_line_anew() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.commit("builder", review=section("- V1: PASS"))
    branch.adversary("- V1: PASS — verified in a fresh clone")
    assert gate(branch) == "CLAIMED #1 PASS #1 passed"


def test_the_owner_deletes_the_line_and_later_adds_it() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.commit("builder", review=section("- V1: PASS"))
    branch.adversary("nothing yet")
    branch.adversary("- V1: PASS")
    assert gate(branch) == "CLAIMED #1 PASS #1 passed"


def test_a_fail_deleted_by_the_builder_stays_though_the_owner_does_not_notice() -> None:
    branch = Branch("V1", "V2")
    branch.builder("- V1: CLAIMED", "- V2: CLAIMED")
    branch.adversary("- V1: PASS", "- V1: FAIL")
    branch.commit("builder", review=section("- V1: PASS"))
    branch.adversary("- V1: PASS", "- V2: PASS")
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    assert gate(branch, "V2") == "CLAIMED #1 PASS #1 passed"


@pytest.mark.parametrize(
    "trick",
    [
        ["- V1: FAIL", "- V1: PASS"],
        ["- V1: PASS", "- V1: FAIL", "- V1: PASS"],
        ["- V1: FAIL", "- V1: PASS", "- V1: FAIL", "- V1: PASS"],
    ],
)
def test_an_old_pass_moved_or_copied_below_a_fail_brings_nothing_back(trick: list[str]) -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: PASS", "- V1: FAIL")
    branch.commit("builder", review=section(*trick))
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    branch.adversary(*trick, "prose")
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    branch.adversary("- V1: FAIL — in other words", *trick[1:])
    assert gate(branch) == "CLAIMED #1 FAIL #1"


@pytest.mark.parametrize("who", ["builder", "adversary"])
def test_a_violation_undone_leaves_everything_as_it_was(who: str) -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED #3")
    own = ["- V1: FAIL", "- V1: FAIL #2", "- V1: PASS #3"]
    branch.adversary(*own)
    branch.commit("builder", review=section("- V1: PASS", "- V1: FAIL #2", "- V1: PASS #9"))
    branch.commit(who, review=section(*own))
    branch.adversary(*own, "- V1: FAIL #3 — sorry")
    assert gate(branch) == "CLAIMED #3 FAIL #3"
    assert [e.attempt for e in branch.ledger.record(File.REVIEW, "1", "V1").said] == [1, 2, 3, 3]


def test_lines_that_a_violation_left_between_its_own_stay_the_owners() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED #2")
    branch.adversary("- V1: FAIL — a", "- V1: FAIL #2 — b", "- V1: FAIL — c")
    branch.commit("builder", review=section("- V1: PASS", "- V1: FAIL #2 — b", "- V1: PASS"))
    branch.adversary("- V1: PASS", "- V1: FAIL #2 — b", "- V1: PASS", "- V1: FAIL — d")
    assert [e.line for e in branch.ledger.record(File.REVIEW, "1", "V1").said] == []
    assert gate(branch) == "CLAIMED #2 FAIL #2"
    assert [e.line[-1] for e in branch.ledger.record(File.REVIEW, "1", "V1").said] == ["b", "d"]


# ------------------------------------------------------------------------- merges and rewrites


def test_claim_and_verdict_on_two_branches_meet_in_a_merge() -> None:
    branch = Branch("V1", "V2")
    base = branch.builder("- V1: CLAIMED")
    theirs = branch.adversary("- V1: PASS")
    ours = branch.commit("builder", status=section("- V1: CLAIMED", "- V2: CLAIMED"), on=base)
    branch.commit("builder", review=section("- V1: PASS"), on=ours, merge=[theirs])
    assert branch.poll() == ()
    assert gate(branch) == "CLAIMED #1 PASS #1 passed"
    assert gate(branch, "V2") == "CLAIMED #1 - open"


def test_a_branch_from_before_the_last_look_is_merged() -> None:
    branch = Branch("V1", "V2")
    base = branch.builder("- V1: CLAIMED")
    theirs = branch.adversary("- V1: FAIL")
    branch.poll()
    ours = branch.commit("builder", status=section("- V1: CLAIMED", "- V2: CLAIMED"), on=base)
    branch.commit("builder", review=section("- V1: FAIL"), on=ours, merge=[theirs])
    assert branch.poll() == ()
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    assert gate(branch, "V2") == "CLAIMED #1 - open"


@pytest.mark.parametrize("looked", [False, True])
def test_a_merge_by_the_builder_can_not_drop_a_fail(looked: bool) -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    base = branch.adversary("- V1: PASS")
    theirs = branch.adversary("- V1: FAIL")
    if looked:
        branch.poll()
    ours = branch.commit("builder", status=section("- V1: CLAIMED", "prose"), on=base)
    branch.commit("builder", on=ours, merge=[theirs])
    assert branch.poll() == ()
    assert gate(branch) == "CLAIMED #1 FAIL #1"


def test_the_owners_merge_chooses() -> None:
    branch = Branch("V1")
    base = branch.builder("- V1: WIP")
    claimed = branch.builder("- V1: CLAIMED")
    branch.commit("builder", status=section("- V1: WIP #2"), on=base)
    branch.commit("builder", status=section("- V1: CLAIMED"), merge=[claimed])
    assert gate(branch) == "CLAIMED #1 - open"


def test_a_merge_whose_file_equals_no_parents_is_judged() -> None:
    branch = Branch("V1")
    base = branch.builder("- V1: CLAIMED")
    theirs = branch.adversary("- V1: FAIL")
    ours = branch.commit("builder", status=section("- V1: CLAIMED", "prose"), on=base)
    evil = branch.commit("builder", review=section("- V1: PASS"), on=ours, merge=[theirs])
    assert branch.poll() == (Violation(Breach.AUTHOR, evil.id, File.REVIEW, "builder"),)
    assert gate(branch) == "CLAIMED #1 FAIL #1"


def test_the_owners_own_resolution_of_a_conflict_counts() -> None:
    branch = Branch("V1", "V2")
    base = branch.builder("- V1: CLAIMED", "- V2: CLAIMED")
    one = branch.commit("adversary", review=section("- V1: PASS"), on=base)
    two = branch.commit("adversary", review=section("- V2: PASS"), on=base)
    both = section("- V1: PASS", "- V2: PASS")
    branch.commit("adversary", review=both, on=two, merge=[one])
    assert branch.poll() == ()
    assert gate(branch).endswith("passed")
    assert gate(branch, "V2").endswith("passed")


def test_a_merge_launders_nothing_and_keeps_what_another_branch_wrote_anew() -> None:
    branch = Branch("V1")
    base = branch.builder("- V1: CLAIMED")
    evil = branch.commit("builder", review=section("- V1: PASS"))
    branch.commit("adversary", review=section("- V1: PASS", "prose"))
    branch.commit("adversary", on=branch.head, merge=[evil])
    assert gate(branch) == "CLAIMED #1 - open"
    branch.commit("adversary", review=section("- V1: PASS"), on=base)
    good = branch.head
    branch.commit("adversary", review=section("- V1: PASS", "done"), on=evil, merge=[good])
    branch.ledger = enter(Ledger(), "1")
    assert gate(branch) == "CLAIMED #1 PASS #1 passed"


def test_a_line_from_an_older_branch_that_was_never_said_is_not_said_by_merging_it() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    old = branch.commit("builder", review=section("- V1: PASS"))
    branch.adversary("cleaned up")
    branch.poll()
    tip = branch.head
    branch.commit("adversary", review=section("- V1: PASS", "- V1: FAIL #1"), on=old)
    branch.commit("adversary", on=branch.head, merge=[tip])
    assert branch.poll() == ()
    assert gate(branch) == "CLAIMED #1 FAIL #1"


def test_a_line_from_an_older_branch_that_was_said_is_still_the_owners() -> None:
    branch = Branch("V1")
    old = branch.builder("- V1: CLAIMED — a")
    tip = branch.builder("- V1: WIP")
    branch.poll()
    branch.commit("builder", status=section("- V1: CLAIMED — a", "prose"), on=old)
    branch.commit("builder", on=branch.head, merge=[tip])
    assert branch.poll() == ()
    assert gate(branch) == "CLAIMED #1 - open"


def test_history_reset_to_before_a_fail_forgets_nothing() -> None:
    branch = Branch("V1")
    claimed = branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: FAIL")
    branch.poll()
    branch.head = claimed
    assert branch.poll() == (Violation(Breach.REWRITTEN, claimed.id),)
    assert gate(branch) == "CLAIMED #1 FAIL #1"
    assert branch.poll() == ()


def test_history_rewritten_without_the_fail_forgets_nothing() -> None:
    branch = Branch("V1", "V2")
    base = branch.builder("- V1: CLAIMED", "- V2: CLAIMED")
    branch.adversary("- V1: PASS")
    branch.adversary("- V1: FAIL")
    branch.adversary("- V1: FAIL", "- V2: FAIL")
    before = branch.look()
    branch.head = base
    branch.adversary("- V1: PASS")
    branch.adversary("- V1: PASS", "- V2: FAIL")
    assert [v.breach for v in branch.poll()] == [Breach.REWRITTEN]
    assert branch.look() == before
    branch.adversary("- V1: PASS", "- V2: FAIL", "- V1: FAIL #9")
    branch.adversary("- V1: PASS", "- V2: FAIL")
    assert gate(branch) == "CLAIMED #1 - open", "what came back with the rewrite does not count"


def test_what_a_rewrite_left_standing_is_still_its_owners() -> None:
    branch = Branch("V1")
    base = branch.builder("- V1: CLAIMED #2")
    branch.adversary("- V1: FAIL — a", "- V1: PASS #2", "- V1: FAIL — c")
    branch.poll()
    branch.head = base
    branch.adversary("- V1: PASS #2", "- V1: FAIL — c")
    branch.poll()
    branch.adversary("- V1: PASS #2", "- V1: FAIL — d")
    assert gate(branch) == "CLAIMED #2 PASS #2 passed"


def test_new_rightful_lines_in_a_rewritten_history_count_on() -> None:
    branch = Branch("V1", "V2")
    base = branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: FAIL")
    branch.poll()
    branch.head = base
    branch.builder("- V1: CLAIMED #2", "- V2: CLAIMED")
    branch.adversary("- V1: FAIL #2")
    branch.poll()
    assert gate(branch) == "CLAIMED #2 FAIL #2"
    assert gate(branch, "V2") == "CLAIMED #1 - open"


def test_a_verdict_in_advance_does_not_pass_by_reordering_history() -> None:
    branch = Branch("V1")
    base = branch.builder("prose")
    branch.adversary("- V1: PASS")
    branch.builder("- V1: CLAIMED")
    branch.poll()
    branch.head = base
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: PASS")
    assert gate(branch) == "CLAIMED #1 - open"


def test_an_unrelated_history_forgets_nothing() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: FAIL")
    branch.poll()
    branch.commit("builder", status=None, review=None)
    branch.commits[-1] = type(branch.commits[-1])(branch.head, "eve@example.org")
    branch.poll()
    assert gate(branch) == "CLAIMED #1 FAIL #1"


def test_history_rewritten_back_and_forth_reports_an_old_violation_once() -> None:
    branch = Branch("V1")
    base = branch.builder("- V1: CLAIMED")
    evil = branch.commit("builder", review=section("- V1: PASS"))
    assert [v.breach for v in branch.poll()] == [Breach.AUTHOR]
    for _ in range(2):
        branch.head = base
        assert branch.poll() == (Violation(Breach.REWRITTEN, base.id),)
        branch.head = evil
        assert branch.poll() == ()


def test_a_verdict_in_advance_does_not_pass_by_putting_the_history_back() -> None:
    branch = Branch("V1")
    base = branch.builder("prose")
    branch.adversary("- V1: PASS")
    tip = branch.builder("- V1: CLAIMED")
    before = branch.look()
    branch.head = base
    branch.poll()
    branch.head = tip
    branch.poll()
    assert branch.look() == before
    branch.adversary("- V1: PASS", "looked")
    assert gate(branch) == "CLAIMED #1 PASS #1 passed"


def test_the_memory_of_commits_is_bounded() -> None:
    branch = Branch("V1")
    for number in range(JUDGED_KEPT + 5):
        branch.commit("builder", review=str(number))
    assert len(branch.poll()) == JUDGED_KEPT + 5
    assert len(branch.ledger.judged) == JUDGED_KEPT


# --------------------------------------------------------------------- entries and the memory


def test_a_phase_entered_first_counts_what_was_said_before() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED")
    branch.poll()
    branch.ledger = enter(branch.ledger, "1")
    other = Branch("V1")
    other.builder("- V1: CLAIMED")
    assert gate(other) == "CLAIMED #1 - open"
    assert gate(branch) == "- -"


def test_a_phase_entered_again_counts_only_what_is_committed_from_then_on() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED #2", "- phase: DONE")
    branch.adversary("- V1: PASS #2", "- phase: PASS")
    assert branch.look().complete
    branch.ledger = enter(branch.ledger, "1")
    assert gate(branch) == "- -"
    branch.builder("- V1: CLAIMED #2", "- phase: DONE", "prose")
    branch.adversary("- V1: PASS #2", "- phase: PASS", "prose")
    assert gate(branch) == gate(branch, PHASE) == "- -"
    branch.builder("- V1: CLAIMED #2", "- V1: CLAIMED #1 — this time", "- phase: DONE — now")
    assert gate(branch) == "CLAIMED #1 - open"
    branch.adversary("- V1: PASS — this time", "- phase: PASS — now")
    assert branch.look().complete


def test_a_phase_entered_again_leaves_the_others_alone() -> None:
    branch = Branch("V1")
    branch.commit("builder", status=section("- V1: CLAIMED") + section("- V1: CLAIMED", phase="2"))
    branch.poll()
    branch.ledger = enter(enter(enter(branch.ledger, "2"), "1"), "1")
    assert gate(branch) == "- -"
    branch.phase = "2"
    assert gate(branch) == "CLAIMED #1 - open"


def test_a_rewrite_does_not_bring_back_what_was_said_before_the_entry() -> None:
    branch = Branch("V1")
    base = branch.builder("prose")
    branch.builder("- V1: CLAIMED")
    branch.poll()
    branch.ledger = enter(branch.ledger, "1")
    branch.head = base
    branch.builder("- V1: CLAIMED")
    branch.adversary("- V1: PASS")
    assert gate(branch) == "- -"


def test_a_branch_from_before_the_entry_brings_nothing_back() -> None:
    branch = Branch("V1")
    old = branch.builder("- V1: CLAIMED — a")
    branch.builder("- V1: CLAIMED — a", "- V1: CLAIMED #2 — b")
    branch.poll()
    branch.ledger = enter(branch.ledger, "1")
    tip = branch.head
    branch.commit("adversary", review=section(), on=old)
    branch.commit("adversary", status=tip.status.decode() if tip.status else None, merge=[tip])
    assert branch.poll() == ()
    assert gate(branch) == "- -"


def test_a_builder_that_goes_on_from_before_the_entry_takes_no_old_claim_along() -> None:
    branch = Branch("V1")
    old = branch.builder("- V1: CLAIMED #2")
    tip = branch.builder("- V1: CLAIMED #2", "- V1: CLAIMED #3")
    branch.poll()
    branch.ledger = enter(branch.ledger, "1")
    branch.commit("builder", status=section("- V1: CLAIMED #2", "- V1: WIP"), on=old)
    branch.commit("builder", merge=[tip])
    assert branch.poll() == ()
    assert gate(branch) == "- -"
    assert [e.attempt for e in branch.ledger.record(File.STATUS, "1", "V1").said] == [1]


def test_a_claim_is_made_once() -> None:
    branch = Branch("V1")
    for line in ("- V1: CLAIMED", "- V1: CLAIMED — b", "- V1: CLAIMED #2", "- V1: CLAIMED — c"):
        branch.builder(line)
    branch.poll()
    assert branch.ledger.claims == {"1/V1": (Claim(1, 1), Claim(2, 3))}


def test_the_ledger_survives_as_json() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED", "- V1: CLAIMED #2")
    branch.commit("builder", review=section("- V1: PASS"))
    branch.adversary("- V1: PASS", "- V1: FAIL")
    branch.adversary("- V1: PASS", "- V1: FAIL #2")
    branch.poll()
    saved = json.loads(json.dumps(codec.encode(branch.ledger)))
    assert codec.decode(Ledger, saved) == branch.ledger
    saved["status"]["1/V1"]["said"][0]["attempt"] = 0
    with pytest.raises(ValueError, match="attempt 0"):
        codec.decode(Ledger, saved)
