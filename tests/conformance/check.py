#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Check that table.tsv, the list of items below and the conformance tests say the same: check.py [--write]

A test is a function conform_ITEM_SENTENCE, a dot of the item being written as an underscore; one for several items is
conform_ITEM_ITEM_SENTENCE, possible for items of a letter and a number. --write fills the table's last column from the sources. The last lines are the count
of each relation and the harness's "t: ..." line.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent


def numbered(letter, last):
    return [f"{letter}{n}" for n in range(1, last + 1)]


MAPPING = """
map_file map_fd map_empty_file map_anon map_anon_zero_len map_anon_len_overflow remap_len_overflow file_write
flush_range flush_range_rejects_out_of_bounds raw_flush_range_rejects_out_of_bounds advise_range_rejects_out_of_bounds
map_copy map_copy_read_only map_offset index sync_send jit_x86_anon jit_x86_file mprotect_file mprotect_copy
mprotect_anon raw raw_read_only owning_ref advise advise_writes_unsafely advise_writes_unsafely_to_part_of_map lock
remap_grow remap_shrink remap_with_offset map_options_offset_past_file_len mmap_options_builder_setters_coverage
as_ref_as_mut_debug_impls mmap_raw_api_coverage mmap_mut_flush_async_coverage mmap_mut_advise_coverage
populate_no_reserve_map_variants advise_is_supported_linux_variants map_exec_coverage
mmap_mut_lock_and_raw_conversion mmap_advise_range_coverage map_anon_huge_flag_coverage validate_len_overflow
mmap_raw_remap_grow
""".split()

# What removes a name is a part of its own where the rest of an item is about something else.
REMOVAL = ["M1.remove", "T9.remove", "T11.remove", "T16.remove"]
ITEMS = (
    numbered("F", 18) + numbered("K", 1) + numbered("R", 31) + numbered("B", 15) + numbered("T", 21)
    + numbered("O", 6) + numbered("M", 3) + ["M_windows"] + REMOVAL + numbered("W", 2) + numbered("E", 1)
    + numbered("P", 42) + MAPPING
)
RELATIONS = ["same", "better", "not applicable"]
FUNCTION = re.compile(r"^static void (conform_\w+)\(void \*\*state\)$", re.M)
REGISTERED = re.compile(r"\bT_(?:TEST|PLAIN)\((\w+)\)")
NUMBERED = re.compile(r"[A-Z][0-9]+$")


def items_of(name):
    """The items that a test's name begins with; of several that fit, the longest."""
    rest, found = name.removeprefix("conform_"), []
    while True:
        fits = [item for item in ITEMS if (rest + "_").startswith(item.replace(".", "_") + "_")]
        if not fits or (found and not NUMBERED.match(fits[0])):
            return found
        found.append(max(fits, key=len))
        rest = rest[len(found[-1]) + 1:]
        if not NUMBERED.match(found[-1]):
            return found


def read_table(text):
    rows = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            rows.append((line.split("\t") + [""] * 4)[:4] if line.count("\t") <= 3 else [line, "", "", ""])
    return rows[1:]  # without the column names


def read_tests(sources):
    """Item -> tests; and what is wrong with the tests themselves."""
    tests, wrong = {}, []
    for source, text in sources.items():
        registered = REGISTERED.findall(text)
        for name in FUNCTION.findall(text):
            found = items_of(name)
            if not found:
                wrong.append(f"{source}: {name} carries no item")
            if registered.count(name) != 1:
                wrong.append(f"{source}: {name} is registered {registered.count(name)} times")
            for item in found:
                tests.setdefault(item, []).append(name)
        for name in registered:
            if name not in FUNCTION.findall(text):
                wrong.append(f"{source}: {name} is no conform_ function of this file")
    return tests, wrong


def check_row(row, tests):
    item, relation, note, column = row
    wrong = []
    if item not in ITEMS:
        wrong.append(f"{item}: not an item")
    if relation not in RELATIONS:
        wrong.append(f"{item}: no relation: {relation!r}")
    if relation != "same" and not note:
        wrong.append(f"{item}: {relation} without a note")
    carried = tests.get(item, [])
    if relation in ("same", "better") and not carried:
        wrong.append(f"{item}: {relation} without a test")
    if relation == "not applicable" and carried:
        wrong.append(f"{item}: {relation}, but tested: {' '.join(carried)}")
    if column.split() != sorted(carried):
        wrong.append(f"{item}: the table names other tests than there are (check.py --write)")
    return wrong


def check(table, sources, build):
    rows = read_table(table)
    tests, wrong = read_tests(sources)
    named = [row[0] for row in rows]
    for item in ITEMS:
        if named.count(item) != 1:
            wrong.append(f"{item}: {named.count(item)} rows")
    for row in rows:
        wrong += check_row(row, tests)
    for source in sources:
        if f"'{source}'" not in build:
            wrong.append(f"{source}: not in meson.build")
    return wrong


def rewrite(table, sources):
    tests, _ = read_tests(sources)
    lines = []
    for line in table.splitlines():
        cells = line.split("\t")
        if cells[0] in ITEMS:
            line = "\t".join((cells + [""] * 3)[:3] + [" ".join(sorted(tests.get(cells[0], [])))]).rstrip("\t")
        lines.append(line)
    return "\n".join(lines) + "\n"


def drop_line(text, start):
    return "".join(line for line in text.splitlines(True) if not line.startswith(start))


def seeded(table, sources, build):
    """Inputs with one fault each, which check() has to find."""
    first = sorted(sources)[0]
    name = FUNCTION.findall(sources[first])[0]
    carried = items_of(name)[0]

    def in_sources(change):
        return {**sources, first: change(sources[first])}

    yield "missing_row", table.replace("\nF3\t", "\n#F3\t"), sources, build
    yield "row_given_twice", table + "\nF3\tsame\n", sources, build
    yield "row_of_no_item", table + "\nF99\tsame\n", sources, build
    yield "relation_of_no_meaning", table.replace("\nF3\tsame", "\nF3\tsimilar"), sources, build
    yield "item_that_was_left_open", table.replace("\nF3\tsame\t", "\nF3\topen\tlater"), sources, build
    yield "missing_test", table, in_sources(lambda text: text.replace(name, "conform_other")), build
    yield "test_without_a_row", drop_line(table, carried + "\t"), sources, build
    yield "test_that_is_not_registered", table, in_sources(lambda text: text.replace(f"T_TEST({name})", "")), build
    yield "test_that_the_table_does_not_name", table.replace(name, "", 1), sources, build
    yield "source_that_is_not_built", table, sources, build.replace(first, "")


def main():
    table = (HERE / "table.tsv").read_text(encoding="utf-8")
    build = (HERE / "meson.build").read_text(encoding="utf-8")
    sources = {path.name: path.read_text(encoding="utf-8") for path in HERE.glob("test_conform_*.c")}
    if sys.argv[1:] == ["--write"]:
        (HERE / "table.tsv").write_text(rewrite(table, sources), encoding="utf-8")
        return 0
    passed = failed = 0
    wrong = check(table, sources, build)
    for line in wrong:
        print(line)
    results = [("table_and_tests_agree", not wrong)]
    for fault, *inputs in [] if wrong else seeded(table, sources, build):
        results.append((fault + "_is_found", bool(check(*inputs))))
    for case, good in results:
        print("success:" if good else "failure:", case)
        passed, failed = passed + good, failed + (not good)
    relations = [row[1] for row in read_table(table)]
    print(", ".join(f"{relations.count(relation)} {relation}" for relation in RELATIONS))
    print(f"t: {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main())
