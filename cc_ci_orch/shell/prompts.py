"""The texts that agents are given: templates from prompts/, read anew at each use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cc_ci_orch.core.kickoff import own_template_name, render, template_name
from cc_ci_orch.core.model import Prompt, PromptKind
from cc_ci_orch.errors import ConfigError


class Prompts:
    """Templates of the instance's own prompts/ folder, else those that came with the program."""

    def __init__(self, root: Path, program_root: Path) -> None:
        self._folders = (root / "prompts", program_root / "prompts")

    def render(self, prompt: Prompt, role_prompt: str, values: Mapping[str, str]) -> str:
        """The text of a prompt. ConfigError where its template can't be read."""
        if prompt.kind is PromptKind.TEXT:
            return prompt.text
        more = f"\n\n{prompt.more}" if prompt.more else ""
        own = own_template_name(prompt.kind, role_prompt)
        general = template_name(prompt.kind, role_prompt)
        text = render(self.read(own if self._has(own) else general), values)
        if prompt.kind is PromptKind.HANDOVER:
            text += "\n\n" + render(self.read(role_prompt), values)
        return text + more

    def _has(self, name: str) -> bool:
        return any((folder / name).exists() for folder in self._folders)

    def read(self, name: str) -> str:
        """The template of that name. ConfigError where there is none, or it is no text."""
        cause = "it is missing"
        for folder in self._folders:
            try:
                return (folder / name).read_text(encoding="utf-8")
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                cause = str(error)
        raise ConfigError(f"can't read the prompt: {self._folders[0] / name}: {cause}")
