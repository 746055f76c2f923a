#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# man.sh: the manual pages are well-formed, and filemap-queue.3 has the functions of its headers as they are declared.
. "$(dirname "$0")/lint.sh"

complaints() { # PAGE: what there is against it
	if command -v mandoc >/dev/null; then
		mandoc -T lint -W warning "$1" 2>&1 || :
	else
		groff -ww -z -mandoc -T utf8 "$1" 2>&1 || :
	fi
}

if command -v mandoc >/dev/null || command -v groff >/dev/null; then
	for page in "$root"/man/*.[1-9]; do
		complaints "$page" >"$scratch/found"
		empty "$scratch/found" "page_$(basename "$page")_is_well_formed"
	done
	printf '.TH PAGE 7\n.SH NAME\n.UNKNOWN\n' >"$scratch/broken.7"
	complaints "$scratch/broken.7" >"$scratch/found"
	not_empty "$scratch/found" 'a_broken_page_is_found'
else
	skip 'pages_are_well_formed: there is neither mandoc nor groff'
fi

cat >"$scratch/compare.py" <<'END'
import re, sys
def declared(text):
    text = re.sub(r"/\*.*?\*/|//[^\n]*|^#[^\n]*$", " ", text.replace("\\\n", " "), flags=re.S | re.M)
    for kind, name, rest in re.findall(r"FILEMAP_API\s+(?:FILEMAP_NODISCARD\s+)?([^;()]*?)(filemap_\w+)\(([^)]*)\)", text):
        yield name, [kind.strip()] + [" ".join(p.split()) for p in rest.split(",")]
def documented(text):
    kind = name = None
    for line in text.splitlines():
        words = re.findall(r'"[^"]*"|\S+', line)
        words = [word.strip('"') for word in words]
        if words[:1] == [".Ft"]:
            kind = " ".join(words[1:])
        elif words[:1] == [".Fo"]:
            name, parameters = words[1], [kind]
        elif words[:1] == [".Fa"] and name:
            parameters.append(words[1])
        elif words[:1] == [".Fc"]:
            yield name, parameters
            name = None
        elif words[:1] == [".Fn"] and len(words) > 2:
            yield words[1], [kind] + words[2:]
page, headers = open(sys.argv[1]).read(), "".join(open(name).read() for name in sys.argv[2:])
told = dict(documented(page.split(".Sh DESCRIPTION")[0]))
names = re.findall(r"^\.Nm (\w+)", page, flags=re.M)
wanted = dict(declared(headers))
if not wanted:
    print("no function was found in the headers")
for name, parameters in wanted.items():
    if told.get(name) != parameters:
        print(name, "is", parameters, "in the header,", told.get(name), "in the page")
    if name not in names:
        print(name, "is not in the page's NAME")
for name in set(names) - set(wanted):
    print(name, "is in no header")
END
python3 "$scratch/compare.py" "$root/man/filemap-queue.3" "$root/include/filemap/queue.h" "$root/include/filemap/uring.h" >"$scratch/found"
empty "$scratch/found" 'queue_page_has_the_functions_of_the_headers'
sed 's/"uint64_t ns"/"unsigned ns"/' "$root/man/filemap-queue.3" >"$scratch/wrong.3"
python3 "$scratch/compare.py" "$scratch/wrong.3" "$root/include/filemap/queue.h" "$root/include/filemap/uring.h" >"$scratch/found"
not_empty "$scratch/found" 'a_wrong_parameter_is_found'
finish
