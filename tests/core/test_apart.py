"""The orchestrator: what concerns it, and what doesn't."""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core.actions import EndServer, Reply, StartSession, Type
from cc_ci_orch.core.events import Name
from cc_ci_orch.core.model import Liveness, PromptKind, RoleSpec, Wanted
from cc_ci_orch.core.phases import PhaseSpec
from tests.core.builders import IDLE, Story, client, role

PAIR = (role("builder"), role("adversary"))
APART = replace(role("orchestrator"), has_turn=False, apart=True)
TALKING = replace(client("orchestrator"), has_turn=False, apart=True)


def answer(story: Story, number: int) -> tuple[int, str] | None:
    found = [a for a in story.actions(Reply) if isinstance(a, Reply) and a.request == number]
    return (found[0].code, found[0].text) if found else None


def starts(story: Story) -> list[str]:
    """Whose process was started, in order."""
    return [a.role for a in story.actions(StartSession) if isinstance(a, StartSession)]


def with_orchestrator(spec: RoleSpec = APART) -> Story:
    """The pair, and an orchestrator that somebody has started."""
    story = Story(*PAIR, spec).started()
    number = story.ask("start", "orchestrator")
    story.wait(40)
    assert answer(story, number) == (0, "started orchestrator")
    return story


def test_it_is_down_until_somebody_starts_it() -> None:
    """A start of the instance is not a start of the orchestrator."""
    story = Story(*PAIR, APART).started()
    story.ask("start")
    story.wait(60)
    assert "orchestrator" not in starts(story)
    assert story.mem("orchestrator").wanted is Wanted.DOWN


def test_a_dead_one_is_replaced_with_its_first_prompt() -> None:
    story = with_orchestrator()
    story.die("orchestrator")
    story.wait(5)
    begun = [a for a in story.actions(StartSession) if a.role == "orchestrator"]
    assert len(begun) == 2
    assert [a.resume for a in begun] == [False, True]
    assert {a.conversation for a in begun} == {begun[0].conversation}
    assert {a.prompt.kind for a in begun} == {PromptKind.KICKOFF}


def test_a_stop_of_the_instance_leaves_it_alone() -> None:
    story = with_orchestrator()
    story.keep_terminal = True
    number = story.ask("stop", everything=True)
    story.wait(15)
    assert answer(story, number) == (0, "stopped")
    assert story.agent("orchestrator").process is not None
    assert story.actions(EndServer) == []


def test_stopped_by_a_person_it_stays_down() -> None:
    """Over a restart of the supervisor, and a start of the instance, until it is started."""
    story = with_orchestrator()
    number = story.ask("stop", "orchestrator")
    story.wait(15)
    assert answer(story, number) == (0, "stopped orchestrator")
    story.supervisor_restarts()
    story.ask("start")
    story.wait(60)
    assert starts(story).count("orchestrator") == 1
    number = story.ask("start", "orchestrator")
    story.wait(40)
    assert answer(story, number) == (0, "started orchestrator")
    assert starts(story).count("orchestrator") == 2


def test_a_reboot_takes_it_down_and_leaves_it_its_conversation() -> None:
    story = with_orchestrator()
    before = story.mem("orchestrator").conversation
    for agent in story.agents.values():
        agent.process, agent.session = None, False
    story.boot_id = "boot-2"
    story.wait(60)
    assert starts(story).count("orchestrator") == 1
    assert starts(story).count("builder") == 1
    story.ask("start", "orchestrator")
    story.wait(5)
    begun = [a for a in story.actions(StartSession) if a.role == "orchestrator"][-1]
    assert (begun.conversation, begun.resume) == (before, True)
    assert begun.prompt.kind is PromptKind.KICKOFF


def test_idle_it_waits_and_is_reminded_seldom() -> None:
    """It has no turn: half an hour at its prompt is no reason for a nudge, two hours are."""
    story = with_orchestrator(TALKING)
    agent = story.agent("orchestrator")
    agent.account, agent.works, agent.submissions = IDLE, False, 1
    story.wait(1800)
    assert story.mem("orchestrator").liveness is Liveness.WAITING
    assert story.actions(Type, role="orchestrator") == []
    story.wait(7200)
    kinds = [a.prompt.kind for a in story.actions(Type, role="orchestrator")]
    assert kinds == [PromptKind.WAITING] * 2


def test_a_hung_one_climbs_the_ladder() -> None:
    """A program that tells nothing of itself is expected to show signs of life."""
    story = with_orchestrator()
    agent = story.agent("orchestrator")
    agent.works = agent.answers = False
    story.wait(3600)
    assert Name.SESSION_STALLED in story.events()
    assert len(story.actions(StartSession, role="orchestrator")) > 1


def test_the_end_of_a_phase_does_not_concern_it() -> None:
    """It is neither waited for nor ended, and keeps its conversation."""
    story = with_orchestrator()
    story.phases = (PhaseSpec("1", "One", "1.md", ()), PhaseSpec("2", "Two", "2.md", ()))
    before = story.mem("orchestrator")
    story.ask("start")
    story.ask("phase", text="set", phase="2")
    story.wait(900)
    after = story.mem("orchestrator")
    assert story.memory.course.phase == "2"
    assert (after.process, after.conversation) == (before.process, before.conversation)


def test_without_a_supervisor_it_is_started_and_nothing_else_is() -> None:
    story = Story(*PAIR, APART)
    story.supervising = False
    story.memory = replace(story.memory, stopped=True)
    number = story.ask("start", "orchestrator")
    story.wait(5)
    assert answer(story, number) == (0, "started orchestrator")
    assert starts(story) == ["orchestrator"]
    assert story.actions(EndServer) == []
    story.die("orchestrator")
    story.wait(30)
    assert starts(story) == ["orchestrator"]


def refused(story: Story) -> tuple[int, str] | None:
    """What becomes of a start that is asked for now."""
    number = story.ask("start", "orchestrator")
    story.wait(40)
    return answer(story, number)


def test_one_that_runs_is_not_started_again() -> None:
    story = with_orchestrator().forget()
    assert refused(story) == (0, "orchestrator is already running")
    assert starts(story) == []


def test_a_start_that_comes_to_nothing_says_why() -> None:
    """It could not be started; its process ended at once."""
    story = Story(*PAIR, APART).started()
    story.agent("orchestrator").cannot_start = "no such folder"
    assert refused(story) == (1, "can't start orchestrator: no such folder")
    story = Story(*PAIR, APART).started()
    story.agent("orchestrator").dies_at_once = True
    found = refused(story)
    assert found == (1, "can't start orchestrator: its process ended with status 1")


def test_a_start_is_refused_where_it_can_not_be_seen_through() -> None:
    """tmux is silent; it is held; somebody stops it before it has come up."""
    story = Story(*PAIR, APART).started()
    story.tmux = False
    assert refused(story) == (75, "can't start orchestrator: tmux doesn't answer")
    story = Story(*PAIR, APART).started()
    story.ask("hold", "orchestrator")
    assert refused(story) == (1, "can't start orchestrator: it is held, and so left alone")
    story = Story(*PAIR, TALKING).started()
    number = story.ask("start", "orchestrator")
    story.ask("stop", "orchestrator")
    story.wait(20)
    assert answer(story, number) == (1, "can't start orchestrator: somebody stopped it meanwhile")


def test_a_conversation_that_turns_out_lost_while_it_waits_is_not_tried_again() -> None:
    """Its record went while its next start was due later: a fresh one begins at once."""
    story = with_orchestrator()
    story.die("orchestrator")
    story.wait(1)
    story.die("orchestrator")  # the second death in a row waits
    story.tick()
    assert story.mem("orchestrator").next_attempt is not None
    story.agent("orchestrator").lost = True
    story.wait(10)
    resumed = [a.resume for a in story.actions(StartSession) if a.role == "orchestrator"]
    assert resumed == [False, True, False]


def test_a_start_while_it_is_being_stopped_brings_it_back() -> None:
    """The person changed their mind before it was down: it ends, and a new process comes."""
    story = with_orchestrator(TALKING)
    story.agent("orchestrator").deaf = True
    story.ask("stop", "orchestrator", grace=10.0)
    story.tick()
    assert story.mem("orchestrator").ending is not None
    number = story.ask("start", "orchestrator")
    story.wait(60)
    assert answer(story, number) == (0, "started orchestrator")
    assert story.mem("orchestrator").wanted is Wanted.UP
    assert starts(story).count("orchestrator") == 2


def test_a_client_that_does_not_come_up_is_started_all_the_same() -> None:
    """Its prompt is not seen for half a minute: the start is answered, the rest is healing."""
    story = Story(*PAIR, replace(TALKING, types_first=True)).started()
    story.agent("orchestrator").typed_ago = 0.0  # a person is at it: nothing is typed
    number = story.ask("start", "orchestrator")
    story.wait(60)
    assert answer(story, number) == (0, "started orchestrator")
