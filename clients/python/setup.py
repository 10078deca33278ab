"""Builds the package: makes the gRPC stubs of proto/ into sop/v1, which are never committed."""

from __future__ import annotations

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


class BuildWithStubs(build_py):
    """build_py that adds the stubs; an editable install gets them in the source folder."""

    def run(self) -> None:
        """Copies the modules, then makes the stubs beside them."""
        shutil.rmtree(Path(self.build_lib) / "sop", ignore_errors=True)
        super().run()
        make_stubs(HERE / "src" if self.editable_mode else Path(self.build_lib))


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
