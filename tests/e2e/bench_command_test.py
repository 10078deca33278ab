"""sop bench against a live server: what it measures, and that its check sees what is wrong.

Usage: bench_command_test.py BUILD_DIR, the folder with server/sopd and clients/cli/sop.
"""

import json
import subprocess
import time

from program_runner import ProgramCase, main

LOAD = ("bench", "--clients", "4", "--seconds", "1", "--items", "1000", "--value-size", "50")


class BenchCommandTest(ProgramCase):
    """All on one server; the store of a run is gone behind it unless it was to be kept."""

    def stores(self) -> list[str]:
        return [store["name"] for store in self.sop.json_lines("store", "list")]

    def test_every_kind_of_call_is_measured(self):
        mix = "get=4,put=3,scan=2,transaction=1"
        figures = json.loads(self.sop.good(*LOAD, "--workload", mix, "--json"))
        self.assertEqual(figures["clients"], 4)
        self.assertEqual(
            [kind["call"] for kind in figures["kinds"]], ["get", "put", "scan", "transaction"]
        )
        for kind in figures["kinds"]:
            self.assertGreater(kind["calls"], 0, kind)
            self.assertEqual(kind["failures"], {}, kind)
            times = [kind[name] for name in ("p50_us", "p90_us", "p99_us", "p999_us", "most_us")]
            self.assertEqual(times, sorted(times))
            self.assertGreater(times[0], 0)
        self.assertEqual(self.stores(), [])

    def test_a_table_for_people_and_a_store_that_is_kept(self):
        out = self.sop.good(*LOAD, "--workload", "put", "--batch", "10", "--store", "kept", "--keep")
        self.assertRegex(out, r"^call +calls +calls/s")
        self.assertRegex(out, r"(?m)^put +\d+ ")
        self.assertEqual(self.sop.good("count", "kept"), "1000\n")
        self.sop.good(*LOAD, "--workload", "get", "--store", "kept")
        self.assertEqual(self.stores(), ["kept"])
        self.sop.good("--yes", "store", "rm", "kept")

    def test_a_rate_is_kept_to(self):
        run = (*LOAD, "--workload", "get", "--rate", "100", "--json")
        calls = json.loads(self.sop.good(*run))["kinds"][0]["calls"]
        self.assertLessEqual(calls, 101)
        self.assertGreater(calls, 20)

    def test_transactions_are_strictly_serialisable(self):
        run = ("bench", "--check", "--clients", "8", "--seconds", "2", "--lists", "4")
        figures = json.loads(self.sop.good(*run, "--json"))
        self.assertTrue(figures["strictly_serialisable"])
        self.assertGreater(figures["committed"], 20)
        self.assertGreater(figures["refused"], 0)
        self.assertGreater(figures["dependencies"], figures["committed"])
        self.assertEqual(self.stores(), [])

    def test_the_check_goes_on_over_kills_of_the_server(self):
        run = [self.sop.sop, "--json", "bench", "--check", "--clients", "4", "--seconds", "6"]
        bench = subprocess.Popen(
            run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.sop.environment(), text=True
        )
        # What it does before its transactions is not repeated, and takes long on a busy machine.
        while not self.stores():
            time.sleep(0.05)
        for away_seconds in (0.1, 1.5):
            time.sleep(1)
            self.sop.kill()
            time.sleep(away_seconds)
            self.sop.start()
        # Away again when the clients are done: the closing reads wait for it.
        time.sleep(1)
        self.sop.kill()
        time.sleep(4)
        self.sop.start()
        out, err = bench.communicate(timeout=60)
        self.assertEqual(bench.returncode, 0, out + err)
        figures = json.loads(out)
        self.assertTrue(figures["strictly_serialisable"])
        self.assertGreater(figures["committed"], 20)
        # Who finds no server waits before the next try.
        self.assertLess(figures["refused"] + figures["unknown"], figures["committed"] + 4_000)
        self.assertEqual(self.stores(), [])

    def test_the_check_sees_a_write_that_is_lost(self):
        run = [self.sop.sop, "bench", "--check", "--clients", "2", "--seconds", "4", "--lists", "1"]
        emptied = 0
        # On a machine that is busy elsewhere a run may be over before anybody got at its lists.
        for _ in range(5):
            bench = subprocess.Popen(
                run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.sop.environment(), text=True
            )
            while bench.poll() is None:
                # Somebody else empties the lists: what was appended is gone.
                for key in range(3):
                    done = self.sop.run("put", "sop-bench", str(key), "", "--update")
                    emptied += done.returncode == 0
                time.sleep(0.1)
            out, err = bench.communicate()
            if emptied:
                break
        self.assertGreater(emptied, 0)
        self.assertEqual(bench.returncode, 1, out + err)
        self.assertNotIn("strictly serialisable\n", out)
        self.assertIn("what no order of them allows", err)

    def test_wrong_usage(self):
        for arguments in (
            ["--workload", "gets=1"],
            ["--workload", "get=0"],
            ["--clients", "0"],
            ["--value-size", "65537"],
            ["--batch", "10001"],
        ):
            self.assertEqual(self.sop.run("bench", *arguments).returncode, 2, arguments)
        self.sop.good("store", "create", "sop-bench", "--key-type", "int64")
        self.assertEqual(self.sop.run("bench", "--check").returncode, 2)
        self.sop.good("--yes", "store", "rm", "sop-bench")


if __name__ == "__main__":
    main()
