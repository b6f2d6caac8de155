"""The mirror against real git: what is new, from whom, and what it makes of odd repositories."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path

import pytest

from cc_ci_orch.core.fold import advance
from cc_ci_orch.core.ledger import Ledger
from cc_ci_orch.core.news import News
from cc_ci_orch.core.protocol import File, key_of, parse
from cc_ci_orch.shell.git import Git
from cc_ci_orch.shell.mirror import Mirror
from cc_ci_orch.shell.ports import CannotTell
from tests.httpremote import serving
from tests.workrepo import IDENTITY, WorkRepo, environment

CLAIM = "## Phase 1\n- V1: CLAIMED — done\n"


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    return WorkRepo(tmp_path)


def mirror_of(repo: WorkRepo, url: str | Path = "", **env: str) -> Mirror:
    """A mirror beside the repository."""
    git = Git(environment(repo.folder) | env)
    return Mirror(git, repo.folder / "mirror.git", str(url or repo.url), repo.branch)


def new(mirror: Mirror, known: str = "") -> News:
    """What is new; something is."""
    news = mirror.news(known)
    assert news is not None
    return news


def claimed(content: bytes | None, file: File = File.STATUS) -> int:
    """The newest attempt of V1 in a version's file."""
    entries = parse(content, file).get(key_of("1", "V1"), ())
    return max((entry.attempt for entry in entries), default=0)


# --------------------------------------------------------------------------------- what is new


def test_an_empty_repository_has_nothing_new_until_it_has(repo: WorkRepo) -> None:
    mirror = mirror_of(repo)
    assert mirror.news("") is None
    head = repo.commit("builder", CLAIM)
    news = new(mirror)
    assert (news.since, news.head.id, news.rewritten) == ("", head, False)
    assert claimed(news.head.status) == 1 and news.head.review is None
    assert mirror.news(head) is None


def test_commits_come_oldest_first_with_their_authors_and_the_files_before_them(
    repo: WorkRepo,
) -> None:
    one = repo.commit("builder", CLAIM)
    two = repo.commit("adversary", review="## Phase 1\n- V1: FAIL\n")
    three = repo.commit("builder", CLAIM + "- V1: CLAIMED #2\n")
    news = new(mirror_of(repo), "")
    assert [c.version.id for c in news.commits] == [one, two, three]
    assert [c.author.split("@")[0] for c in news.commits] == ["builder", "adversary", "builder"]
    assert [claimed(c.version.status) for c in news.commits] == [1, 1, 2]
    assert [[p.id for p in c.parents] for c in news.commits] == [[], [one], [two]]
    assert news.commits[2].parents[0] == news.commits[1].version


def test_only_what_is_new_since_the_known_commit_comes(repo: WorkRepo) -> None:
    mirror = mirror_of(repo)
    one = repo.commit("builder", CLAIM)
    new(mirror)
    two = repo.commit("builder", CLAIM + "more\n")
    news = new(mirror, one)
    assert [c.version.id for c in news.commits] == [two]
    assert news.commits[0].version.status != news.commits[0].parents[0].status


def test_a_mirror_that_is_gone_is_made_anew(repo: WorkRepo) -> None:
    """It holds nothing that the remote doesn't; what was known stays known."""
    one = repo.commit("builder", CLAIM)
    two = repo.commit("builder", CLAIM + "more\n")
    news = new(mirror_of(repo), one)
    assert [c.version.id for c in news.commits] == [two]
    assert not news.rewritten


def test_a_merge_comes_with_both_of_its_sides(repo: WorkRepo) -> None:
    base = repo.commit("builder", CLAIM)
    repo.git("switch", "-q", "-c", "side")
    (repo.clone / "other").write_text("x")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "aside")
    repo.git("switch", "-q", "-")
    repo.commit("adversary", review="text")
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    repo.push()
    news = new(mirror_of(repo), base)
    assert len(news.commits) == 3
    assert len(news.commits[-1].parents) == 2


# ------------------------------------------------------------------------- rewritten and moved


def test_a_force_push_says_what_came_and_that_history_was_rewritten(repo: WorkRepo) -> None:
    base = repo.commit("builder", CLAIM)
    lost = repo.commit("builder", CLAIM + "lost\n")
    mirror = mirror_of(repo)
    new(mirror)
    repo.git("reset", "-q", "--hard", base)
    other = repo.head
    repo.push("--force")
    news = new(mirror, lost)
    assert (news.head.id, news.rewritten, news.commits) == (other, True, ())
    (repo.clone / "STATUS.md").write_text("another")
    repo.git("commit", "-qam", "another")
    repo.push("--force")
    news = new(mirror, lost)
    assert news.rewritten and [c.version.id for c in news.commits] == [repo.head]


def test_a_history_without_a_common_commit_is_a_rewritten_one(repo: WorkRepo) -> None:
    known = repo.commit("builder", CLAIM)
    mirror = mirror_of(repo)
    new(mirror)
    repo.git("checkout", "-q", "--orphan", "anew")
    repo.git("commit", "-qm", "anew")
    repo.push("--force")
    news = new(mirror, known)
    assert news.rewritten and [c.version.id for c in news.commits] == [repo.head]


def test_the_old_history_is_known_to_a_mirror_that_never_saw_it(repo: WorkRepo) -> None:
    """The mirror was lost, and history rewritten: all that there is counts as new."""
    repo.commit("builder", CLAIM)
    gone = "f" * 40
    news = new(mirror_of(repo), gone)
    assert news.rewritten and len(news.commits) == 1


def test_a_branch_that_is_gone_is_a_trouble_and_back_it_is_none(repo: WorkRepo) -> None:
    known = repo.commit("builder", CLAIM)
    mirror = mirror_of(repo)
    new(mirror)
    repo.git("branch", "-m", "main", "moved", at=repo.url)
    with pytest.raises(CannotTell, match="no branch main"):
        mirror.news(known)
    repo.git("branch", "-m", "moved", "main", at=repo.url)
    assert mirror.news(known) is None


def test_every_head_that_was_seen_is_kept(repo: WorkRepo) -> None:
    """Whatever happens to the remote, and whatever git tidies up."""
    mirror = mirror_of(repo)
    lost = repo.commit("builder", CLAIM)
    new(mirror)
    repo.git("checkout", "-q", "--orphan", "anew")
    repo.git("commit", "-qm", "anew")
    repo.push("--force")
    new(mirror, lost)
    repo.git("gc", "-q", "--prune=now", at=repo.folder / "mirror.git")
    assert repo.git("cat-file", "-t", lost, at=repo.folder / "mirror.git") == "commit"


# ------------------------------------------------------------------------------- odd contents


@pytest.mark.parametrize("what", ["symlink", "folder", "huge", "binary", "submodule"])
def test_a_status_that_is_no_plain_text_is_no_claim(repo: WorkRepo, what: str) -> None:
    """And the mirror goes on: the next commit is read."""
    status = repo.clone / "STATUS.md"
    (repo.clone / "claim").write_text(CLAIM)
    match what:
        case "symlink":
            status.symlink_to("claim")
        case "folder":
            status.mkdir()
            (status / "STATUS.md").write_text(CLAIM)
        case "huge":
            status.write_bytes(b"x" * 50_000_000 + CLAIM.encode())
        case "binary":
            status.write_bytes(bytes(range(256)) * 100)
        case "submodule":
            module = f"160000,{'1' * 40},STATUS.md"
            repo.git("update-index", "--add", "--cacheinfo", module)
    if what == "submodule":
        repo.git("commit", "-qm", "a submodule")
        repo.push()
    else:
        repo.commit("builder")
    mirror = mirror_of(repo)
    began = time.monotonic()
    odd = new(mirror)
    assert time.monotonic() - began < 20
    assert claimed(odd.head.status) == 0
    repo.git("rm", "-rqf", "STATUS.md")
    repo.commit("builder", CLAIM)
    assert claimed(new(mirror, odd.head.id).head.status) == 1


def test_a_file_is_read_up_to_a_mebibyte_however_large_it_is(repo: WorkRepo) -> None:
    """And a change far behind that is one, though nothing in it counts."""
    repo.commit("builder", CLAIM + "x" * 17_000_000)
    repo.commit("builder", CLAIM + "x" * 17_000_001)
    first, second = new(mirror_of(repo)).commits
    assert claimed(first.version.status) == claimed(second.version.status) == 1
    assert first.version.status != second.version.status
    assert len(second.version.status or b"") < 1000


ODD = [
    "a\x85b\x0cc\u2028d@x",
    "tab\there",
    "",
    "adversary@cc-ci.invalid\x1e",
    "\udcff\udcfe@latin",
    "x" * 10_000,
]


@pytest.mark.parametrize("email", ODD)
def test_no_author_is_too_odd(repo: WorkRepo, email: str) -> None:
    """It is nobody's, and the commits around it are read."""
    first = repo.commit("builder", CLAIM)
    tree = repo.git("write-tree")
    raw = b"tree %s\nparent %s\nauthor x <%s> 1 +0000\ncommitter x <x> 1 +0000\n\nodd\n"
    data = raw % (tree.encode(), first.encode(), os.fsencode(email))
    odd = repo.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=data)
    repo.git("reset", "-q", "--hard", odd)
    last = repo.commit("adversary", review="text")
    news = new(mirror_of(repo))
    assert [c.version.id for c in news.commits] == [first, odd, last]
    _, violations = advance(Ledger(), news.commits, news.head, IDENTITY)
    assert violations == ()


def test_a_commit_can_not_talk_git_into_another_author(repo: WorkRepo) -> None:
    """An encoding in which an innocent e-mail reads as a new line stays what it is."""
    first = repo.commit("builder", CLAIM)
    tree = repo.git("write-tree")
    forged = f"+AAo-{'1' * 40} +AAk-adversary@cc-ci.invalid"
    data = (
        f"tree {tree}\nparent {first}\nauthor x <{forged}> 1 +0000\ncommitter x <x> 1 +0000\n"
        "encoding UTF-7\n\nodd\n"
    )
    odd = repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=data.encode())
    repo.git("reset", "-q", "--hard", odd)
    repo.push()
    news = new(mirror_of(repo))
    assert [(c.version.id, c.author) for c in news.commits][1:] == [(odd, forged)]


def test_a_mailmap_changes_nobody(repo: WorkRepo) -> None:
    """Whoever may write a file may not become another by it."""
    mailmap = "Adversary <adversary@cc-ci.invalid> <builder@cc-ci.invalid>\n"
    (repo.clone / ".mailmap").write_text(mailmap)
    repo.commit("builder", CLAIM)
    repo.git("config", "--global", "log.mailmap", "true")
    repo.git("config", "--global", "mailmap.file", str(repo.clone / ".mailmap"))
    (commit,) = new(mirror_of(repo)).commits
    assert commit.author == "builder@cc-ci.invalid"


def test_a_configuration_of_git_changes_nothing(repo: WorkRepo) -> None:
    """Somebody's taste is no part of what git tells a program."""
    for name, value in (
        ("fetch.prune", "true"),
        ("log.showSignature", "true"),
        ("color.ui", "always"),
        ("i18n.logOutputEncoding", "UTF-16"),
        ("core.abbrev", "4"),
        ("safe.bareRepository", "explicit"),
        ("fetch.recurseSubmodules", "true"),
        ("core.quotePath", "false"),
    ):
        repo.git("config", "--global", name, value)
    one = repo.commit("builder", CLAIM)
    mirror = mirror_of(repo)
    assert [c.version.id for c in new(mirror).commits] == [one]
    two = repo.commit("adversary", review="text")
    assert [c.version.id for c in new(mirror, one).commits] == [two]


def test_no_hook_runs(repo: WorkRepo) -> None:
    """Neither of the work repository, nor of somebody's template, nor by a clone of ours."""
    told = repo.folder / "told"
    template = repo.folder / "template" / "hooks"
    template.mkdir(parents=True)
    for folder in (repo.url / "hooks", template):
        for hook in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc"):
            (folder / hook).write_text(f"#!/bin/sh\necho {hook} >> {told}\n")
            (folder / hook).chmod(0o755)
    repo.git("commit", "-q", "--allow-empty", "-m", "x", env={"GIT_TEMPLATE_DIR": ""})
    repo.push()
    told.unlink(missing_ok=True)
    repo.git("config", "--global", "init.templateDir", str(template.parent))
    new(mirror_of(repo))
    Git(environment(repo.folder)).clone(str(repo.url), "main", repo.folder / "role")
    assert not told.exists(), told.read_text()


def test_a_repository_with_long_ids(tmp_path: Path) -> None:
    """SHA-256; and a mirror of the other kind makes way for it."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = WorkRepo(tmp_path / "old")
    known = old.commit("builder", CLAIM)
    repo = WorkRepo(tmp_path / "new", format="sha256")
    one = repo.commit("builder", CLAIM)
    two = repo.commit("adversary", review="text")
    mirror = Mirror(Git(environment(tmp_path)), tmp_path / "mirror.git", str(old.url), "main")
    new(mirror)
    mirror = Mirror(Git(environment(tmp_path)), tmp_path / "mirror.git", str(repo.url), "main")
    assert re.fullmatch("[0-9a-f]{64}", two)
    news = new(mirror, known)
    assert news.rewritten and [c.version.id for c in news.commits] == [one, two]
    assert mirror.news(two) is None


def test_a_shallow_repository_can_be_followed(repo: WorkRepo) -> None:
    repo.commit("builder", "old")
    repo.commit("builder", CLAIM)
    shallow = repo.folder / "shallow.git"
    repo.git("clone", "-q", "--bare", "--depth=1", f"file://{repo.url}", str(shallow), at="/")
    news = new(mirror_of(repo, shallow))
    assert claimed(news.head.status) == 1


# ------------------------------------------------------------------------------- other remotes


def test_every_kind_of_remote(repo: WorkRepo) -> None:
    """A path, file://, ssh and http show the same."""
    head = repo.commit("builder", CLAIM)
    ssh = repo.folder / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    with serving(repo.folder) as http:
        urls = [str(repo.url), f"file://{repo.url}", f"host:{repo.url}", f"{http}/work.git"]
        for number, url in enumerate(urls):
            git = Git(environment(repo.folder) | {"GIT_SSH_COMMAND": str(ssh)})
            mirror = Mirror(git, repo.folder / f"mirror-{number}.git", url, "main")
            assert new(mirror).head.id == head, url
            assert mirror.news(head) is None


def test_a_remote_that_asks_for_a_password_gets_none(repo: WorkRepo) -> None:
    """Nobody is asked; it is a trouble like any other."""
    script = repo.folder / "ssh"
    script.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
    script.chmod(0o755)
    mirror = mirror_of(repo, f"host:{repo.url}", GIT_SSH_COMMAND=str(script))
    with pytest.raises(CannotTell, match="Permission denied"):
        mirror.news("")


# -------------------------------------------------------------------------------- what fails


def test_a_remote_that_is_not_there_can_not_be_told_until_it_is(repo: WorkRepo) -> None:
    head = repo.commit("builder", CLAIM)
    mirror = mirror_of(repo)
    away = repo.url.rename(repo.folder / "away")
    with pytest.raises(CannotTell, match="not appear to be a git repository"):
        mirror.news("")
    away.rename(repo.url)
    assert new(mirror).head.id == head


def test_a_folder_that_lies_in_another_repository_is_not_taken_for_the_mirror(
    repo: WorkRepo,
) -> None:
    """A state folder often lies in a checkout of this very program."""
    repo.commit("builder", CLAIM)
    within = repo.clone / "mirror.git"
    within.mkdir()
    mirror = Mirror(Git(environment(repo.folder)), within, str(repo.url), "main")
    new(mirror)
    assert repo.git("for-each-ref", "refs/orch") == ""


@pytest.mark.parametrize("damage", ["no head", "empty object"])
def test_a_damaged_mirror_is_set_aside_and_made_anew(repo: WorkRepo, damage: str) -> None:
    """As after a loss of power; the next look but one is as if nothing had been."""
    one = repo.commit("builder", CLAIM)
    mirror = mirror_of(repo)
    new(mirror)
    two = repo.commit("builder", CLAIM + "more\n")
    path = repo.folder / "mirror.git"
    objects = [p for p in (path / "objects").rglob("*") if p.is_file()]
    for file in [path / "HEAD"] if damage == "no head" else objects:
        file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        file.write_bytes(b"")
    for _ in range(2):
        try:
            news = mirror.news(one)
            break
        except CannotTell as error:
            assert "damaged" in str(error)
    assert news is not None and [c.version.id for c in news.commits] == [two]
    assert not news.rewritten
    assert any(p.name.startswith("mirror.git.damaged-") for p in repo.folder.iterdir())


def test_words_of_the_remote_never_reach_a_terminal_as_they_are(repo: WorkRepo) -> None:
    script = repo.folder / "git"
    script.write_text("#!/bin/sh\nprintf 'fatal: \\033]0;evil\\007\\n' >&2\nexit 1\n")
    script.chmod(0o755)
    mirror = mirror_of(repo, PATH=f"{repo.folder}:{os.environ['PATH']}")
    with pytest.raises(CannotTell) as told:
        mirror.news("")
    assert str(told.value) == "?]0;evil?"


# --------------------------------------------------------------------------------- large ones


def test_twenty_thousand_commits_at_the_first_look(repo: WorkRepo) -> None:
    """Some seconds and little memory, also where every tenth changes the file."""
    lines = []
    for n in range(1, 20_001):
        lines += ["commit refs/heads/main", "committer b <builder@cc-ci.invalid> 1 +0000"]
        text = f"## Phase 1\n- V1: CLAIMED #{n // 10 + 1}\n" + "prose\n" * 500
        lines += ["data 1", "x", "M 100644 inline " + ("other" if n % 10 else "STATUS.md")]
        lines += [f"data {len(text)}", text]
    repo.git("fast-import", "--quiet", stdin="\n".join(lines).encode(), at=repo.url)
    began = time.monotonic()
    news = new(mirror_of(repo))
    assert len(news.commits) == 20_000
    assert claimed(news.head.status) == 2001
    ledger, violations = advance(Ledger(), news.commits, news.head, IDENTITY)
    assert violations == () and ledger.order == 20_000
    assert time.monotonic() - began < 60
    assert sum(len(c.version.status or b"") for c in news.commits) < 5_000_000
