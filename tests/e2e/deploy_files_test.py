"""The files that start sopd elsewhere: Dockerfile and sample configuration.

Usage: deploy_files_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD_DIR = "build/release"


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def described_defaults() -> dict[str, str]:
    """What `sopd --help` says of each option that takes a value."""
    defaults = {}
    for line in output_of(f"{BUILD_DIR}/server/sopd", "--help").splitlines():
        found = re.match(r" +--([a-z-]+) [A-Z].*\[(.*)\]$", line)
        if found:
            defaults[found[1]] = found[2].replace(", at most 1h", "")
    return defaults


class SampleConfigurationTest(unittest.TestCase):
    sample = (ROOT / "deploy/sopd.toml").read_text()

    def test_every_option_is_there_with_its_default(self):
        defaults = described_defaults()
        self.assertIn("max-requests", defaults)
        for name, default in defaults.items():
            line = re.search(
                rf'^(?P<off># )?{name} = (?P<value>\S+)(?:  # default: (?P<default>.*))?$',
                self.sample, re.M,
            )
            self.assertIsNotNone(line, f"{name} is not in the sample")
            if line["off"]:
                self.assertEqual(line["default"] or line["value"].strip('"'), default, name)

    def test_a_server_takes_it_with_everything_switched_on(self):
        text = re.sub(r"^# (?=[a-z-]+ = )", "", self.sample, flags=re.M)
        self.assertEqual(set(described_defaults()), set(tomllib.loads(text)))
        with tempfile.TemporaryDirectory(prefix="sop-deploy-") as folder:
            config = Path(folder, "sopd.toml")
            config.write_text(text.replace("/srv/sop", folder))
            process = subprocess.Popen(
                [f"{BUILD_DIR}/server/sopd", "--config", str(config), "--data", f"{folder}/data",
                 "--listen", "127.0.0.1:0", "--http", "off"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            try:
                lines = []
                for line in process.stderr:
                    lines.append(line)
                    if "listen" in line:
                        break
                self.assertIn("listen", "".join(lines[-1:]), "".join(lines))
            finally:
                process.terminate()
                process.stderr.close()
                self.assertEqual(process.wait(timeout=30), 0)


class ImageTest(unittest.TestCase):
    def test_what_git_ignores_stays_out_of_the_image(self):
        def entries(name: str) -> set[str]:
            lines = (ROOT / name).read_text().splitlines()
            kept = (line.strip("/").removeprefix("**/") for line in lines)
            return {line for line in kept if line and not line.startswith("#")}

        self.assertLessEqual(entries(".gitignore") | {".git"}, entries(".dockerignore"))

    def test_it_has_every_library_that_the_programs_load(self):
        text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
        install = re.findall(r"apt-get install ([^&]*)", text)
        self.assertEqual(len(install), 1)
        given = {word for word in install[0].split() if not word.startswith("-")}
        reached = with_what_they_depend_on(given)
        for program in ("server/sopd", "clients/cli/sop"):
            linked = output_of("ldd", f"{BUILD_DIR}/{program}")
            self.assertNotIn("not found", linked)
            owners = owners_of(re.findall(r"=> (/\S+)", linked))
            self.assertGreater(len(owners), 20)
            for library, packages in owners.items():
                self.assertTrue(packages & reached, f"{program} needs {library}")


def with_what_they_depend_on(packages: set[str]) -> set[str]:
    """Packages, and what apt installs with them when it installs nothing that is only recommended."""
    depends = {}
    fields = "${Package}\t${Depends},${Pre-Depends}\n"
    for line in output_of("dpkg-query", "-W", "-f", fields).splitlines():
        package, _, wanted = line.partition("\t")
        depends[package] = {re.split(r"[ :(|]", one.strip())[0] for one in wanted.split(",")} - {""}
    reached: set[str] = set()
    todo = set(packages)
    while todo:
        reached |= todo
        todo = set().union(*(depends.get(package, set()) for package in todo)) - reached
    return reached


def owners_of(libraries: list[str]) -> dict[str, set[str]]:
    """The packages that hold each library, under any name that the merged /usr gives it."""
    names = {
        library: {library, str(Path(library).resolve()), library.removeprefix("/usr")}
        for library in libraries
    }
    found = subprocess.run(
        ["dpkg-query", "-S", *set().union(*names.values())],
        capture_output=True, text=True, check=False,  # it fails for the names that no package has
    )
    packages = {}
    for line in found.stdout.splitlines():
        package, _, path = line.partition(": ")
        packages[path] = package.split(":")[0]
    return {
        library: {packages[name] for name in of_it if name in packages}
        for library, of_it in names.items()
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        BUILD_DIR = sys.argv.pop(1)
    unittest.main()
