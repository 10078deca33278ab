"""Builds the package: gRPC stubs of proto/ into sop/v1, and the blocking face of sop.aio. Neither
is ever committed.
"""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
IN_CLONE = HERE.parent.parent / "proto"
IN_SDIST = HERE / "proto"
# google.rpc is wire-compatible with, and imported from, googleapis-common-protos.
PACKAGE = "sop/v1"

AIO = HERE / "src/sop/aio"
# Written by hand in both faces of the client: where waiting itself differs.
TWINS = ("__init__.py", "ai.py", "connection.py", "results.py", "streams.py")
BLOCKING = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\ban (`?)(with|for)\b", r"a \1\2"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\ba(next|close)\(", r"\1("),
    (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsync(Generator|Iterator)\b", r"\1"),
    (r"\bAwaitable\[([\w.]+)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\bsop\.aio\b", "sop"),
    (r"\bConfined to one event loop, whose tasks share it\b", "Thread-safe: threads share it"),
    (r"\b(Confined to\s+one|several|the transaction's) task(s?)\b", r"\1 thread\2"),
)


def proto_root() -> Path:
    """The protos of the clone, or the copy that a source distribution carries."""
    for root in (IN_SDIST, IN_CLONE):
        if (root / PACKAGE).is_dir():
            return root
    raise SystemExit(f"setup.py: no protos in {IN_SDIST} nor {IN_CLONE}: build from a clone")


def make_stubs(target: Path) -> None:
    """Compiles every proto of sop.v1 into target/sop/v1."""
    import grpc_tools
    from grpc_tools import protoc

    root = proto_root()
    (target / PACKAGE).mkdir(parents=True, exist_ok=True)
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    protos = sorted(str(path.relative_to(root)) for path in (root / PACKAGE).glob("*.proto"))
    if protoc.main(["protoc", f"-I{root}", f"-I{bundled}", *outputs, *protos]) != 0:
        raise SystemExit("setup.py: protoc failed")
    (target / PACKAGE / "__init__.py").write_text('"""Generated messages and stubs of sop.v1."""\n')


def make_blocking(target: Path) -> None:
    """Derives the modules of `sop` that wait from those of sop.aio, into target/sop."""
    for source in sorted(AIO.glob("*.py")):
        if source.name in TWINS:
            continue
        text = source.read_text()
        for pattern, instead in BLOCKING:
            text = re.sub(pattern, instead, text)
        (target / "sop" / source.name).write_text(text)


class BuildWithStubs(build_py):
    """build_py that adds stubs and derived modules; an editable install gets them in src."""

    def run(self) -> None:
        """Copies the modules, then makes the others beside them."""
        shutil.rmtree(Path(self.build_lib) / "sop", ignore_errors=True)
        super().run()
        target = HERE / "src" if self.editable_mode else Path(self.build_lib)
        make_stubs(target)
        make_blocking(target)


class SdistWithProtos(sdist):
    """sdist that carries the protos, so that it builds outside of a clone."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Adds proto/ to the tree."""
        super().make_release_tree(base_dir, files)
        shutil.copytree(proto_root(), Path(base_dir) / "proto", dirs_exist_ok=True)


setup(
    cmdclass={"build_py": BuildWithStubs, "sdist": SdistWithProtos},
    install_requires=[
        f"grpcio>={version('grpcio-tools')}",
        f"protobuf>={version('protobuf')}",
        "googleapis-common-protos>=1.63",
    ],
)
