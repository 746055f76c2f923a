/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The `filemap` command: finds the subcommand and runs it. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const struct cli_command *const commands[] = {
	&cli_cat,       &cli_copy,   &cli_info, &cli_lock,     &cli_publish, &cli_replace,
	&cli_residency, &cli_resize, &cli_rm,   &cli_snapshot, NULL,
};
static const struct cli_command *const log_commands[] = {
	&cli_log_append, &cli_log_cat, &cli_log_info, &cli_log_verify, NULL,
};

static void list(const struct cli_command *const *table)
{
	for (; *table; table++)
		printf("  %-12s %s\n", (*table)->name, (*table)->summary);
}

static int help(void)
{
	puts("usage: filemap COMMAND [ARGUMENT...]\n\nCommands:");
	list(commands);
	list(log_commands);
	puts("\n`filemap COMMAND --help` tells more. Exit status: 0 success, 1 failure, 2 usage.");
	return cli_finish_output();
}

/* The names in a table begin with the same prefix, which the user typed as words of its own. */
static const struct cli_command *find(const struct cli_command *const *table, const char *prefix,
				      const char *name)
{
	for (; *table; table++)
		if (strcmp((*table)->name + strlen(prefix), name) == 0)
			return *table;
	return NULL;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* getopt(3) begins its messages with argv[0]: they are to begin as all others do. */
static void name_for_getopt(const struct cli_command *command, char **argv)
{
	static char name[32];

	snprintf(name, sizeof name, "filemap: %s", command->name);
	argv[0] = name;
}

static int run(const struct cli_command *const *table, const char *prefix, int argc, char **argv)
{
	const struct cli_command *command = find(table, prefix, argv[0]);

	if (!command) {
		cli_error("no such command: %s%s (try --help)", prefix, argv[0]);
		return CLI_USAGE;
	}
	if (argc > 1 && is_help(argv[1]))
		return cli_help(command);
	name_for_getopt(command, argv);
	return command->run(command, argc, argv);
}

/*
 * The process is the command's own: a file that is cut while it is read is a message and not a signal. Without the
 * handler it would still do what it is to do.
 */
static void guard_mapped_bytes(void)
{
	(void)filemap_guard_install(NULL);
}

int main(int argc, char **argv)
{
	guard_mapped_bytes();
	if (argc < 2) {
		cli_error("no command given (try --help)");
		return CLI_USAGE;
	}
	if (is_help(argv[1]) || strcmp(argv[1], "help") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0) {
		printf("filemap %s\n", filemap_version());
		return cli_finish_output();
	}
	if (strcmp(argv[1], "log") != 0)
		return run(commands, "", argc - 1, argv + 1);
	if (argc > 2 && is_help(argv[2]))
		return help();
	if (argc < 3) {
		cli_error("log: no command given (try --help)");
		return CLI_USAGE;
	}
	return run(log_commands, "log ", argc - 2, argv + 2);
}
