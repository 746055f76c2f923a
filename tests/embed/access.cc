// SPDX-License-Identifier: Apache-2.0 OR MIT
// The inline part of the headers in C++17: numbers in and out, by name and through the library's symbol.
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <filemap/filemap.h>

namespace
{

template <typename T>
bool round_trip(struct filemap *map, int (*write)(struct filemap *, size_t, T),
		int (*read)(const struct filemap *, size_t, T *), T value)
{
	T back;
	std::memset(&back, 0, sizeof back);
	return write(map, 3, value) == 0 && read(map, 3, &back) == 0 &&
	       std::memcmp(&back, &value, sizeof value) == 0;
}

// Every type, named and by address.
bool every_type(struct filemap *map)
{
	int good = 0, all = 0;
#define ROUND_TRIP(suffix, type, bytes, order)                                                       \
	{                                                                                            \
		type value;                                                                          \
		std::memset(&value, 0x35 + bytes, sizeof value);                                     \
		all += 2;                                                                            \
		good += round_trip<type>(map, filemap_write_##suffix, filemap_read_##suffix, value); \
		good += filemap_write_##suffix(map, 65 - bytes, value) == FILEMAP_ERANGE;            \
	}
	FILEMAP_ACCESS_TYPES(ROUND_TRIP)
	return good == all;
}

} // namespace

int main(int argc, char **argv)
{
	struct filemap_options options;
	struct filemap_cursor cursor;
	struct filemap *map = nullptr;
	std::uint32_t value = 0;

	filemap_options_init(&options, sizeof options);
	options.flags = FILEMAP_CREATE;
	options.size = 64;
	if (filemap_open(argc > 1 ? argv[1] : "made-by-access", FILEMAP_WRITE, &options, &map, nullptr) < 0)
		return 1;
	bool good = every_type(map) && filemap_cursor_init(&cursor, map, 8, FILEMAP_TO_END) == 0 &&
		    filemap_cursor_write_u32be(&cursor, 0x01020304) == 0 &&
		    filemap_read_u32le(map, 8, &value) == 0;
	std::printf("%s %08x\n", good ? "good" : "bad", static_cast<unsigned>(value));
	filemap_close(map);
	return good ? 0 : 1;
}
