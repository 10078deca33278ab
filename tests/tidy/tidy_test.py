"""Tests of the tidy test: for every rule, bad text makes it fire and good text does not."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cpp_scan
import rules_calls
import rules_docs
import rules_files
import rules_layers
import rules_names
import rules_proto
import rules_size
import tidy
from source_tree import Finding, SourceFile, SourceTree


def tree_of(files: dict[str, str]) -> SourceTree:
    return SourceTree([SourceFile(path, text.encode()) for path, text in files.items()])


def fired(rule, path: str, text: str) -> list[str]:
    """Names of the findings that one file causes."""
    return [finding.rule for finding in rule.check(tree_of({path: text}))]


class LayersTest(unittest.TestCase):
    """Include direction."""

    def allows(self, path: str, include: str) -> bool:
        return not fired(rules_layers, path, f"#include {include}\n")

    def test_core_includes_only_downwards(self):
        self.assertTrue(self.allows("core/txn/commit.cc", '"core/btree/tree.h"'))
        self.assertTrue(self.allows("core/txn/commit.cc", '"core/txn/window.h"'))
        self.assertFalse(self.allows("core/btree/tree.cc", '"core/txn/window.h"'))
        self.assertFalse(self.allows("core/base/bytes.h", '"core/persistence/storage.h"'))
        self.assertFalse(self.allows("core/txn/commit.cc", '"server/rpc/dispatcher.h"'))

    def test_store_kinds_never_include_each_other(self):
        self.assertFalse(self.allows("core/vector/index.cc", '"core/text/posting.h"'))
        self.assertTrue(self.allows("core/query/join.cc", '"core/text/posting.h"'))

    def test_an_unknown_folder_of_core_is_refused(self):
        self.assertFalse(self.allows("core/graph/edge.cc", '"core/base/bytes.h"'))

    def test_storage_includes_base_and_persistence_and_no_sibling(self):
        self.assertTrue(self.allows("storage/memory/log.cc", '"core/persistence/storage.h"'))
        self.assertTrue(self.allows("storage/memory/log.cc", '"storage/memory/nodes.h"'))
        self.assertFalse(self.allows("storage/memory/log.cc", '"core/btree/apply.h"'))
        self.assertFalse(self.allows("storage/memory/log.cc", '"storage/rocksdb/open.h"'))
        self.assertFalse(self.allows("storage/memory/log_test.cc", '"storage/rocksdb/open.h"'))
        self.assertFalse(self.allows("storage/memory/log.cc", '"server/rpc/dispatcher.h"'))

    def test_only_main_and_tests_name_a_backend(self):
        self.assertTrue(self.allows("server/main.cc", '"storage/rocksdb/open.h"'))
        self.assertTrue(self.allows("server/rpc/service_test.cc", '"storage/memory/open.h"'))
        self.assertFalse(self.allows("server/rpc/service.cc", '"storage/rocksdb/open.h"'))
        self.assertFalse(self.allows("core/txn/commit.cc", '"storage/memory/open.h"'))
        self.assertTrue(self.allows("core/txn/commit_test.cc", '"storage/memory/open.h"'))

    def test_clients_include_neither_engine_nor_server(self):
        self.assertTrue(self.allows("clients/cli/main.cc", '"core/base/bytes.h"'))
        self.assertFalse(self.allows("clients/cli/main.cc", '"core/txn/commit.h"'))
        self.assertFalse(self.allows("clients/cli/main.cc", '"server/rpc/service.h"'))

    def test_foreign_headers_stay_in_their_folder(self):
        self.assertTrue(self.allows("storage/rocksdb/open.cc", "<rocksdb/db.h>"))
        self.assertFalse(self.allows("core/txn/commit.cc", "<rocksdb/db.h>"))
        self.assertFalse(self.allows("storage/memory/log.cc", '"rocksdb/db.h"'))
        self.assertFalse(self.allows("server/main.cc", "<hiredis/hiredis.h>"))
        self.assertTrue(self.allows("storage/redis/turns.cc", "<hiredis/hiredis.h>"))
        self.assertTrue(self.allows("server/rpc/service.cc", '"sop/v1/btree.pb.h"'))
        self.assertFalse(self.allows("core/btree/key.cc", '"sop/v1/types.pb.h"'))
        self.assertFalse(self.allows("core/btree/key.cc", "<grpcpp/grpcpp.h>"))


def body(lines: int) -> str:
    return "void Run() {\n" + "  Step();\n" * lines + "}\n"


class SizeTest(unittest.TestCase):
    """Ratchets."""

    def test_function_length(self):
        self.assertEqual(fired(rules_size, "core/base/a.cc", body(68)), [])
        self.assertEqual(fired(rules_size, "core/base/a.cc", body(69)), ["function length"])
        test = body(69).replace("void Run()", "TEST(RunTest, Runs)")
        self.assertEqual(fired(rules_size, "core/base/a_test.cc", test), ["function length"])
        python = "def run():\n" + "    step()\n" * 70
        self.assertEqual(fired(rules_size, "tests/a.py", python), ["function length"])

    def test_nesting(self):
        four = "void Run() { if (a) { for (;;) { while (b) { if (c) { D(); } } } } }\n"
        five = "void Run() { if (a) { for (;;) { while (b) { if (c) { do { D(); } while (e); } } } } }\n"
        self.assertEqual(fired(rules_size, "core/base/a.cc", four), [])
        self.assertEqual(fired(rules_size, "core/base/a.cc", five), ["nesting"])

    def test_parameters(self):
        five = "int Sum(int a, int b, std::map<int, int> c, int d = F(1, 2), int e);\n"
        six = five.replace("int e", "int e, int f")
        self.assertEqual(fired(rules_size, "core/base/a.h", five), [])
        self.assertEqual(fired(rules_size, "core/base/a.h", six), ["parameters"])
        method = "class A {\n public:\n  void M(int a, int b, int c, int d, int e, int f);\n};\n"
        self.assertEqual(fired(rules_size, "core/base/a.h", method), ["parameters"])
        override = method.replace("int f)", "int f) override")
        self.assertEqual(fired(rules_size, "core/base/a.h", override), [])

    def test_file_lengths(self):
        for path, limit, rule in (
            ("core/base/a.h", 250, "header length"),
            ("core/base/a.cc", 600, "source length"),
            ("core/base/a_test.cc", 800, "test length"),
            ("core/base/CMakeLists.txt", 40, "CMakeLists length"),
            ("core/base/README.md", 30, "README length"),
        ):
            self.assertEqual(fired(rules_size, path, "\n" * limit), [], path)
            self.assertEqual(fired(rules_size, path, "\n" * (limit + 1)), [rule], path)

    def test_folder_size(self):
        files = {f"docs/page{i}.md": "x\n" for i in range(31)}
        self.assertEqual([f.rule for f in rules_size.check(tree_of(files))], ["folder size"])
        files.popitem()
        self.assertEqual(list(rules_size.check(tree_of(files))), [])


class ScanTest(unittest.TestCase):
    """What the size rules see of C++."""

    def names(self, text: str) -> list[str]:
        return [function.name for function in cpp_scan.functions_of(SourceFile("a.cc", text.encode()).code)]

    def test_constructor_with_initialisers_is_one_function(self):
        text = "A::A(int b) : b_{b}, c_(2), d_{Make([] { return 1; })} {\n  if (b) { C(); }\n}\nint D() { return 1; }\n"
        self.assertEqual(self.names(text), ["A", "D"])

    def test_operators_templates_and_annotated_classes(self):
        text = (
            'template <typename T, typename U = std::less<T>>\nclass SOP_CAPABILITY("mutex") A {\n public:\n'
            "  bool operator<(const A& b) const { return x < b.x; }\n  void operator()() { F(); }\n"
            "  T Get() const SOP_EXCLUDES(mu_);\n\n private:\n  std::function<void(int)> f_;\n"
            "  int x SOP_GUARDED_BY(mu_) = 0;\n};\n"
        )
        self.assertEqual(self.names(text), ["operator", "operator", "Get"])

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = 'void A() { B("}"); /* } */ C(\'}\'); // }\n  D(R"x(}")x"); }\nvoid E() { F(1\'000); }\n'
        self.assertEqual(self.names(text), ["A", "E"])

    def test_lambdas_and_tables_do_not_end_a_function(self):
        text = "int A() {\n  auto f = [&](int b) { if (b) { C(); } };\n  int t[] = {1, 2};\n  return f(t[0]);\n}\nint B();\n"
        functions = cpp_scan.functions_of(text)
        self.assertEqual([(f.name, f.length, f.nesting) for f in functions], [("A", 5, 1), ("B", 0, 0)])


class NamesTest(unittest.TestCase):
    """Names that say nothing."""

    def test_types_functions_variables_and_files(self):
        for text in (
            "class NodeManager {};\n",
            "struct IndexInfo {\n  int a;\n};\n",
            "using KeyData = int;\n",
            "namespace sop::util {\n}\n",
            "class INode {\n};\n",
            "class NodeStoreImpl : public NodeStore {\n};\n",
            "int GetInfo();\n",
            "void F() { int old_root = 1; }\n",
            "void F(const std::string& new_key);\n",
            "class Tree2 {};\n",
        ):
            self.assertIn("name", fired(rules_names, "core/btree/a.cc", text), text)
        self.assertEqual(fired(rules_names, "core/btree/key_utils.h", "\n"), ["file name"])
        self.assertEqual(fired(rules_names, "core/btree/KeyCodec.h", "\n"), ["file name"])

    def test_words_of_the_field_and_foreign_names_pass(self):
        for text in (
            "size_t CommonPrefix(std::string_view a);\n",
            "void F() { return bytes.data(); }\n",
            "auto p = new Tree(1);\n",
            "uint32_t LoadLittle32(const char* p);\n",
            "class Database {\n};\n",
            "absl::Status DataLossError();\n",
            "class Threshold {\n};\n",
        ):
            self.assertEqual(fired(rules_names, "core/btree/a.cc", text), [], text)


class CallsTest(unittest.TestCase):
    """Banned calls, promises and machine paths."""

    def test_banned_calls(self):
        for path, text in (
            ("core/txn/a.cc", "absl::Mutex mu;\n"),
            ("storage/memory/a.cc", "absl::MutexLock lock(&mu);\n"),
            ("core/txn/a.cc", "std::this_thread::sleep_for(x);\n"),
            ("core/txn/a_test.cc", "absl::SleepFor(x);\n"),
            ("core/txn/a.cc", "sleep(1);\n"),
            ("core/txn/a.cc", "int x = rand();\n"),
            ("server/a.cc", "std::random_device device;\n"),
            ("server/a.cc", "auto t = time(nullptr);\n"),
            ("core/txn/a.cc", "std::mutex mu;\n"),
            ("server/a.cc", "std::condition_variable cv;\n"),
            ("core/txn/a.cc", "auto t = absl::Now();\n"),
            ("core/txn/a_test.cc", "EXPECT_TRUE(true);\n"),
            ("core/txn/a_test.cc", "GTEST_SKIP();\n"),
            ("core/txn/a_test.cc", "TEST(A, DISABLED_B) {}\n"),
            ("clients/python/tests/test_a.py", "@pytest.mark.skip\ndef test_a(): pass\n"),
        ):
            self.assertEqual(fired(rules_calls, path, text), ["banned call"], text)

    def test_allowed_calls(self):
        for path, text in (
            ("server/a.cc", "absl::Mutex mu;\n"),
            ("core/base/mutex.h", "std::mutex mu_;\n"),
            ("core/base/clock.cc", "absl::Now();\n"),
            ("core/txn/a.cc", "clock.time(1); // rand() and std::mutex in a comment\n"),
            ("core/txn/a.cc", 'Log("sleep(1)");\n'),
            ("core/txn/a.cc", "random.Next64(); operand(1);\n"),
        ):
            self.assertEqual(fired(rules_calls, path, text), [], text)

    def test_promises_and_machine_paths_anywhere(self):
        self.assertEqual(fired(rules_calls, "docs/a.md", "TO" + "DO: more\n"), ["promise"])
        self.assertEqual(fired(rules_calls, "deploy/run", "# FIX" + "ME\n"), ["promise"])
        self.assertEqual(fired(rules_calls, "docs/a.md", "cd /ho" + "me/ann/sop\n"), ["machine path"])
        self.assertEqual(fired(rules_calls, "docs/a.md", "see /wo" + "rk/x\n"), ["machine path"])
        self.assertEqual(fired(rules_calls, "docs/a.md", "see docs/work/x and /usr/share/dict\n"), [])


PROTO = """// Echoes.
service EchoService {
  // Answers what it got.
  rpc Echo(EchoRequest) returns (EchoResponse) {
    option (sop.v1.permission) = PERMISSION_NONE;
  }
}

// What to echo.
message EchoRequest {
  // Any bytes, up to 4 MiB.
  bytes payload = 1;
  oneof shape {
    string name = 2;  // Short, or
    // long.
    map<string, int32> sizes = 3;
  }
}

// Shapes.
enum Shape {
  // Not said.
  SHAPE_UNSPECIFIED = 0;
  // Round.
  SHAPE_ROUND = 1;
}
"""


class ProtoTest(unittest.TestCase):
    """Coverage of comments and permissions."""

    def rules(self, text: str) -> list[str]:
        return fired(rules_proto, "proto/sop/v1/echo.proto", text)

    def test_a_full_file_passes(self):
        self.assertEqual(self.rules(PROTO), [])

    def test_each_missing_comment_is_found(self):
        comments = [line for line in PROTO.splitlines() if line.strip().startswith("//")]
        for comment in comments:
            text = PROTO.replace(comment + "\n", "", 1)
            self.assertEqual(self.rules(text), ["proto comment"], comment)
        self.assertEqual(self.rules(PROTO.replace("  // Short, or", "")), ["proto comment"])

    def test_a_missing_permission_is_found(self):
        text = PROTO.replace("    option (sop.v1.permission) = PERMISSION_NONE;\n", "")
        self.assertEqual(self.rules(text), ["proto permission"])
        one_line = "// E.\nservice E {\n  // Echo.\n  rpc Echo(A) returns (B);\n}\n"
        self.assertEqual(self.rules(one_line), ["proto permission"])
        self.assertEqual(self.rules("package sop.v1;\n" + one_line), ["proto permission"])
        self.assertEqual(self.rules("package etcdserverpb;\n" + one_line), [])

    def test_the_first_enum_value_is_unspecified(self):
        self.assertEqual(self.rules(PROTO.replace("SHAPE_UNSPECIFIED", "SHAPE_NONE")), ["proto enum"])


class DocsTest(unittest.TestCase):
    """Comments, READMEs, links, the list of errors."""

    def class_rules(self, comment: str) -> list[str]:
        text = f"{comment}class Tree {{\n public:\n  class Inner {{}};\n}};\nclass Later;\n"
        return [r for r in fired(rules_docs, "core/btree/tree.h", text) if r == "class comment"]

    def test_class_comments_end_with_their_thread_rule(self):
        self.assertEqual(self.class_rules(""), ["class comment"])
        self.assertEqual(self.class_rules("// A tree.\n"), ["class comment"])
        self.assertEqual(self.class_rules("// Thread-safe. A tree.\n"), ["class comment"])
        self.assertEqual(self.class_rules("// A tree. Thread-safe.\n"), [])
        self.assertEqual(self.class_rules("// A tree.\n// Thread-safe: immutable.\n"), [])
        self.assertEqual(self.class_rules("// A tree.\n// Confined to\n// the committer.\n"), [])

    def test_a_template_keeps_its_comment(self):
        text = "// A list. Thread-compatible.\ntemplate <typename T>\nclass List final : public Base<T> {};\n"
        self.assertNotIn("class comment", fired(rules_docs, "core/btree/list.h", text))
        self.assertIn("class comment", fired(rules_docs, "core/btree/list.h", text.split("\n", 1)[1]))

    def test_python_docstrings_of_the_client(self):
        text = '"""Module."""\n\n\nclass A:\n    """A."""\n\n    def b(self): ...\n    def _c(self): ...\n'
        self.assertIn("docstring", fired(rules_docs, "clients/python/src/sop/a.py", text))
        good = text.replace("def b(self): ...", 'def b(self):\n        """B."""')
        self.assertNotIn("docstring", fired(rules_docs, "clients/python/src/sop/a.py", good))

    def test_every_folder_has_a_readme(self):
        files = {"core/README.md": "x\n", "core/base/a.cc": "\n"}
        found = list(rules_docs.check(tree_of(files)))
        self.assertEqual([(f.path, f.rule) for f in found], [("core/base/README.md", "folder README")])

    def test_links_lead_somewhere(self):
        files = {
            "README.md": "# Top\n[a](docs/a.md) [b](docs/) [c](docs/a.md#two-words) [d](https://x.y) [e](#top)\n",
            "docs/README.md": "[a](a.md)\n",
            "docs/a.md": "## Two words\n```\n[not a link](nowhere)\n```\n",
        }
        self.assertEqual(list(rules_docs.check(tree_of(files))), [])
        for bad in ("[a](docs/b.md)", "[a](docs/a.md#three)", "[a](#none)"):
            found = rules_docs.check(tree_of({**files, "README.md": bad + "\n"}))
            self.assertEqual([f.rule for f in found], ["link"], bad)

    def test_every_page_is_linked_from_its_folder(self):
        files = {"docs/README.md": "[a](a.md)\n", "docs/a.md": "x\n"}
        self.assertEqual(list(rules_docs.check(tree_of(files))), [])
        found = list(rules_docs.check(tree_of({**files, "docs/b.md": "x\n"})))
        self.assertEqual([(f.rule, f.advice) for f in found], [("index", "link b.md")])

    def test_the_error_page_lists_exactly_the_reasons(self):
        files = {
            "core/base/error.cc": 'ReasonRow{Reason::kA, "A_B", kX},\nReasonRow{Reason::kB, "B", kX}\n',
            "docs/errors.md": "| `A_B` | x |\n| `GONE` | x |\n",
        }
        found = [f for f in rules_docs.check(tree_of(files)) if f.rule == "error list"]
        self.assertEqual([f.advice.split(":")[0] for f in found], ["B", "GONE"])

    def test_the_operations_page_lists_exactly_the_options(self):
        files = {
            "server/config/setting.cc": '      {"data", "DIR", "folder"},\n      {"max-requests",\n "N", "most"},\n{"ms", 1}\n',
            "docs/operations.md": "\n## Configuration\n| `data` | x |\n| `gone` | x |\n\n## Watching\n| `m` | x |\n",
        }
        found = [f for f in rules_docs.check(tree_of(files)) if f.rule == "option list"]
        self.assertEqual([f.advice.split(":")[0] for f in found], ["max-requests", "gone"])


class FilesTest(unittest.TestCase):
    """Large, binary and generated files."""

    def test_what_does_not_belong(self):
        self.assertEqual(fired(rules_files, "docs/a.md", "x" * 524288 + "\n"), ["large file"])
        self.assertEqual(fired(rules_files, "docs/a.bin", "\0\n"), ["binary file"])
        self.assertEqual(fired(rules_files, "storage/rocksdb/golden/1.sst", "\0\n"), [])
        self.assertEqual(fired(rules_files, "proto/a.pb.h", "x\n"), ["generated file"])
        self.assertEqual(fired(rules_files, "clients/python/a_pb2.py", "x\n"), ["generated file"])
        text = "// Generated by the protocol buffer compiler.\n"
        self.assertEqual(fired(rules_files, "server/a.cc", text), ["generated file"])
        self.assertEqual(fired(rules_files, "docs/a.md", "no newline"), ["last line"])
        self.assertEqual(fired(rules_files, "docs/a.md", "dos\r\n"), ["line ends"])


class ExceptionsTest(unittest.TestCase):
    """The list that may only shrink."""

    long_function = Finding("core/a.cc", 7, "function length", "split it", 90)
    entry = tidy.ExceptionEntry(3, "core/a.cc", "function length", 90)

    def rules(self, findings, entries, limit):
        return [f.advice for f in tidy.apply_exceptions(findings, entries, limit)]

    def test_an_entry_covers_its_figure_and_no_more(self):
        self.assertEqual(self.rules([self.long_function], [self.entry], 1), [])
        longer = Finding("core/a.cc", 7, "function length", "split it", 91)
        self.assertEqual(self.rules([longer], [self.entry], 1), ["split it"])

    def test_an_entry_that_improved_must_be_lowered_or_removed(self):
        self.assertIn("remove it", self.rules([], [self.entry], 1)[0])
        shorter = Finding("core/a.cc", 7, "function length", "split it", 80)
        self.assertIn("lower its figure to 80", self.rules([shorter], [self.entry], 1)[0])

    def test_the_list_never_grows(self):
        self.assertIn("1 of at most 0", self.rules([self.long_function], [self.entry], 0)[0])
        self.assertIn("lower EXCEPTION_LIMIT to 0", self.rules([], [], 1)[0])

    def test_findings_without_a_figure_are_counted(self):
        names = [Finding("core/a.cc", line, "name", "say the role") for line in (1, 2)]
        entry = tidy.ExceptionEntry(1, "core/a.cc", "name", 2)
        self.assertEqual(self.rules(names, [entry], 1), [])

    def test_a_malformed_entry_is_refused(self):
        with self.assertRaises(ValueError):
            tidy.parse_exceptions("core/a.cc | name | many | because\n")
        self.assertEqual(len(tidy.parse_exceptions("# x\n\na | b | 1 | c\n")), 1)


if __name__ == "__main__":
    unittest.main()
