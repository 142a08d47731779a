"""The crash recorder: it notes each step that passes the door of durable.py and shows what a power cut could leave.

SIGKILL is not a power cut: the page cache survives it. So for every prefix of the recorded steps the recorder builds
the directories that may be found when the current comes back:

- content that was not fsynced is lost, torn in the middle, turned into zeros, or there;
- names that were not fsynced (creations, renames, removals) are each there or not, in every combination, because a file
  system may bring names to the disk before content and one name before another.

The steps are found, never listed by hand. What changes the directory without passing the door is noticed at the end of
the recording, else a writer without a single fsync would look perfect. SQLite's files have a journal of their own; name
them in `ignore`, and they are neither watched nor rebuilt.

    with Recorder(directory) as recorder:
        store.install_root(...)
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        ...open the store on cut.directory and ask for a legal state...
"""

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePath
from types import TracebackType
from typing import Final, Self

from security import durable

MAX_PENDING: Final = 10  #: names not yet on the disk at one instant; 2 to this power of states, a good writer has one

Tree = Mapping[PurePath, "tuple[int, bytes] | None"]
"""Path -> mode and content of a file, None for a directory."""


class Bypassed(AssertionError):
    """Raised when the directory was changed without passing the door."""


@dataclass(eq=False)
class _File:
    mode: int
    content: bytes = b""
    synced: bytes = b""

    def survivors(self) -> Iterator[bytes]:
        """What a power cut may leave of the content."""
        yield self.synced
        if self.content != self.synced:
            lost = len(self.content) - len(self.synced)
            yield self.content[: len(self.synced) + lost // 2]
            yield self.synced + bytes(lost)
            yield self.content


@dataclass(eq=False)
class _Directory:
    synced: "dict[str, _File | _Directory]" = field(default_factory=dict)


_Names = dict[str, "_File | _Directory | None"]


class _Disk:
    """The model: what is on the platter for certain, and what the kernel still holds back."""

    def __init__(self, start: Tree) -> None:
        self._root = _Directory()
        self._pending: list[tuple[_Directory, _Names]] = []
        self._files: dict[int, _File] = {}
        for path, entry in sorted(start.items()):
            node = _Directory() if entry is None else _File(entry[0], entry[1], entry[1])
            self._directory(path.parent).synced[path.name] = node

    def create(self, path: PurePath, handle: int, mode: int) -> None:
        self._files[handle] = _File(mode)
        self._change(path.parent, {path.name: self._files[handle]})

    def write(self, handle: int, data: bytes) -> None:
        self._files[handle].content += data

    def fsync(self, handle: int) -> None:
        self._files[handle].synced = self._files[handle].content

    def rename(self, source: PurePath, target: PurePath) -> None:
        self._change(target.parent, {target.name: self._node(source), source.name: None})

    def unlink(self, path: PurePath) -> None:
        self._change(path.parent, {path.name: None})

    def make_directory(self, path: PurePath) -> None:
        self._change(path.parent, {path.name: _Directory()})

    def fsync_directory(self, path: PurePath) -> None:
        directory = self._directory(path)
        for changed, names in self._pending:
            if changed is directory:
                _apply(directory.synced, names)
        self._pending = [change for change in self._pending if change[0] is not directory]

    def survivors(self) -> Iterator[Tree]:
        """All that a power cut at this instant may leave."""
        if len(self._pending) > MAX_PENDING:
            raise AssertionError(f"{len(self._pending)} names wait for an fsync of their directory: nobody syncs here")
        for kept in itertools.product((False, True), repeat=len(self._pending)):
            changes = list(itertools.compress(self._pending, kept))
            files = self._walk(changes)
            unsynced = [path for path, node in files.items() if isinstance(node, _File) and node.content != node.synced]
            for variant in range(4 if unsynced else 1):
                yield {path: _frozen(node, variant) for path, node in files.items()}

    def whole(self) -> Tree:
        """What everybody sees while the current is on."""
        return {path: _frozen(node, 3) for path, node in self._walk(self._pending).items()}

    def _walk(self, changes: "list[tuple[_Directory, _Names]]") -> "dict[PurePath, _File | _Directory]":
        found: dict[PurePath, _File | _Directory] = {}
        todo = [(PurePath(), self._root)]
        while todo:
            path, directory = todo.pop()
            names = dict(directory.synced)
            for changed, update in changes:
                if changed is directory:
                    _apply(names, update)
            for name, node in names.items():
                found[path / name] = node
                if isinstance(node, _Directory):
                    todo.append((path / name, node))
        return found

    def _node(self, path: PurePath) -> "_File | _Directory":
        return self._walk(self._pending)[path]

    def _directory(self, path: PurePath) -> _Directory:
        node = self._root if path == PurePath() else self._node(path)
        assert isinstance(node, _Directory)
        return node

    def _change(self, parent: PurePath, names: _Names) -> None:
        self._pending.append((self._directory(parent), names))


def _apply(names: "dict[str, _File | _Directory]", update: _Names) -> None:
    for name, node in update.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _frozen(node: "_File | _Directory", variant: int) -> "tuple[int, bytes] | None":
    if isinstance(node, _Directory):
        return None
    contents = list(node.survivors())
    return node.mode, contents[min(variant, len(contents) - 1)]


@dataclass(frozen=True)
class PowerCut:
    """A directory as it may be found when the current comes back.

    Attributes:
        directory: the rebuilt directory; gone when the next cut is asked for.
        after: the last step that was done, in words.
        finished: that was the very last one: whatever reported success must be there.
    """

    directory: Path
    after: str
    finished: bool


class Recorder(durable.Operations):
    """Operations that do their work for real and take note of it, between `__enter__` and `__exit__`.

    Args:
        root: the directory that is watched, which exists; what lies elsewhere is not recorded.
        ignore: patterns of file names that do not go through the door.
    """

    def __init__(self, root: Path, *, ignore: tuple[str, ...] = ()) -> None:
        self._root = root
        self._ignore = ignore
        self._steps: list[tuple[str, Callable[[_Disk], None]]] = []
        self._handles: dict[int, int] = {}
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._start: Tree = {}
        self._before = durable.operations

    def __enter__(self) -> Self:
        self._start = self._snapshot()
        self._before, durable.operations = durable.operations, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        durable.operations = self._before
        if kind is None:
            self._check_nothing_bypassed()

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that were found, in words."""
        return tuple(words for words, _ in self._steps)

    def power_cuts(self, into: Path) -> Iterator[PowerCut]:
        """Rebuild, one after the other, the directories that a power cut could have left.

        Equal directories come once for each prefix, not once in all: a state that was legal in the middle is a lost
        change after the end.

        Args:
            into: a directory for them, made if need be.
        """
        for steps in range(len(self._steps) + 1):
            after = self._steps[steps - 1][0] if steps else "nothing"
            states = {frozenset(tree.items()): tree for tree in self._replayed(steps).survivors()}
            for number, tree in enumerate(states.values()):
                directory = into / f"cut-{steps}-{number}"
                _build(directory, tree)
                yield PowerCut(directory, after, finished=steps == len(self._steps))
                shutil.rmtree(directory)

    def create(self, path: Path, mode: int) -> int:
        with self._lock:
            descriptor = super().create(path, mode)
            self._handles.pop(descriptor, None)
            if (inside := self._inside(path)) is not None:
                handle = self._handles[descriptor] = next(self._numbers)
                real_mode = os.fstat(descriptor).st_mode & 0o777
                self._note(f"create {inside}", lambda disk: disk.create(inside, handle, real_mode))
            return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        with self._lock:
            super().write(descriptor, data)
            if (handle := self._handles.get(descriptor)) is not None:
                self._note(f"write {len(data)} bytes", lambda disk: disk.write(handle, bytes(data)))

    def fsync(self, descriptor: int) -> None:
        with self._lock:
            super().fsync(descriptor)
            if (handle := self._handles.get(descriptor)) is not None:
                self._note("fsync", lambda disk: disk.fsync(handle))

    def close(self, descriptor: int) -> None:
        with self._lock:
            self._handles.pop(descriptor, None)
            super().close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            super().rename(source, target)
            old, new = self._inside(source), self._inside(target)
            if old is not None and new is not None:
                assert old.parent == new.parent, "a rename across directories is not modelled: is it wanted?"
                self._note(f"rename {old} to {new.name}", lambda disk: disk.rename(old, new))

    def unlink(self, path: Path) -> None:
        with self._lock:
            super().unlink(path)
            if (inside := self._inside(path)) is not None:
                self._note(f"unlink {inside}", lambda disk: disk.unlink(inside))

    def make_directory(self, path: Path, mode: int) -> None:
        with self._lock:
            super().make_directory(path, mode)
            if (inside := self._inside(path)) is not None:
                self._note(f"make directory {inside}", lambda disk: disk.make_directory(inside))

    def fsync_directory(self, path: Path) -> None:
        with self._lock:
            super().fsync_directory(path)
            if (inside := self._inside(path)) is not None:
                self._note(f"fsync directory {inside}", lambda disk: disk.fsync_directory(inside))

    def _note(self, words: str, step: Callable[[_Disk], None]) -> None:
        self._steps.append((words, step))

    def _inside(self, path: Path) -> PurePath | None:
        return PurePath(path.relative_to(self._root)) if path.is_relative_to(self._root) else None

    def _replayed(self, steps: int) -> _Disk:
        disk = _Disk(self._start)
        for _, step in self._steps[:steps]:
            step(disk)
        return disk

    def _snapshot(self) -> Tree:
        tree: dict[PurePath, tuple[int, bytes] | None] = {}
        for path in sorted(self._root.rglob("*")):
            if any(fnmatch(path.name, pattern) for pattern in self._ignore):
                continue
            if path.is_dir():
                tree[PurePath(path.relative_to(self._root))] = None
            elif path.is_file():
                tree[PurePath(path.relative_to(self._root))] = path.stat().st_mode & 0o777, path.read_bytes()
        return tree

    def _check_nothing_bypassed(self) -> None:
        expected, found = self._replayed(len(self._steps)).whole(), self._snapshot()
        wrong = sorted(str(path) for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
        if wrong:
            raise Bypassed(f"changed without passing the door of durable.py: {', '.join(wrong)}")


def _build(directory: Path, tree: Tree) -> None:
    directory.mkdir(parents=True)
    for path, entry in sorted(tree.items()):
        if entry is None:
            (directory / path).mkdir()
        else:
            mode, content = entry
            (directory / path).write_bytes(content)
            (directory / path).chmod(mode)
