"""What a sweep is to do: jobs, in groups that share an uncached run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from ...cache.method import Method
from ...runs.request import Request

SHARED = ("model", "prompt", "seed", "steps")  # of a group's rows


@dataclass(frozen=True)
class Group:
    """The jobs that share an uncached run: all that it depends on.

    Args:
        model: Catalogue name.
        prompt, seed, steps: What is made.
        sample: Which video of its prompt this is, from 0: the place of its seed.
    """

    model: str
    prompt: str
    seed: int
    steps: int
    sample: int = 0

    @property
    def shared(self) -> tuple[object, ...]:
        """What an uncached run of it depends on; the place of its seed does not matter."""
        return tuple(getattr(self, name) for name in SHARED)


@dataclass(frozen=True, order=True)
class Job:
    """One comparison: a group, and one of its model's settings, both by their place."""

    group: int
    setting: int


@dataclass(frozen=True)
class Plan:
    """All jobs of a sweep.

    Args:
        groups: In the order in which they are done, each once.
        settings: For each model, the methods with their settings.
        random_weights: Whether the models have seeded random weights.

    Raises:
        ConfigError: Of `request`: one of the jobs cannot be asked for.
    """

    groups: Sequence[Group]
    settings: Mapping[str, Sequence[Method]]
    random_weights: bool = False

    @cached_property
    def size(self) -> int:
        """How many jobs there are."""
        return sum(len(self.settings[group.model]) for group in self.groups)

    def jobs(self, group: int) -> Iterator[Job]:
        """The jobs of a group."""
        return (Job(group, i) for i in range(len(self.settings[self.groups[group].model])))

    def config(self, job: Job) -> Method:
        """A job's method with its settings."""
        return self.settings[self.groups[job.group].model][job.setting]

    def request(self, job: Job) -> Request:
        """What a job asks for."""
        group = self.groups[job.group]
        return Request(
            group.prompt,
            group.model,
            group.steps,
            group.seed,
            self.config(job),
            random_weights=self.random_weights,
        )

    def described(self, job: Job) -> dict[str, object]:
        """The part of a job's row that is known before it is run."""
        request = self.request(job)
        names = ("model", "random_weights", "prompt", "seed", "steps")
        known = {name: getattr(request, name) for name in names}
        return known | {"method": request.config.name, "config": request.config.as_dict()}

    def find(self, row: Mapping[str, Any]) -> Job | None:
        """The job that a row is of, or None: a file may hold other rows."""
        if row.get("random_weights", False) is not self.random_weights:
            return None
        config = _text(row.get("config"))  # as it reads in a file
        try:
            group = self._groups.get(tuple(row.get(name) for name in SHARED))
            setting = self._settings.get((row.get("model"), row.get("method"), config))
        except TypeError:  # a list where a text or a number should be
            return None
        return None if group is None or setting is None else Job(group, setting)

    def group_name(self, group: int) -> str:
        """A group for names of files: the same in every process, and in every plan that has it."""
        return _digest([self.random_weights, *self.groups[group].shared])

    def job_name(self, job: Job) -> str:
        """A job, likewise."""
        config = self.config(job)
        return f"{self.group_name(job.group)}-{_digest([config.name, config.as_dict()])}"

    @cached_property
    def name(self) -> str:
        """The plan, likewise."""
        made = (self.job_name(job) for i in range(len(self.groups)) for job in self.jobs(i))
        digest = blake2b(digest_size=8)
        for each in made:
            digest.update(each.encode())
        return digest.hexdigest()

    @cached_property
    def _groups(self) -> dict[tuple[object, ...], int]:
        return {group.shared: i for i, group in enumerate(self.groups)}

    @cached_property
    def _settings(self) -> dict[tuple[object, ...], int]:
        return {
            (model, config.name, _text(config.as_dict())): i
            for model, configs in self.settings.items()
            for i, config in enumerate(configs)
        }


def _digest(value: object) -> str:
    return blake2b(_text(value).encode(), digest_size=8).hexdigest()


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
