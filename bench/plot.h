/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Plots as SVG files, written without any library: panels in two columns, each with axes, a grid, a legend and lines. */
#ifndef PLOT_H
#define PLOT_H

#include <stddef.h>

struct plot_line {
	const char *name;
	const double *x, *y; /* in the axes' units */
	size_t count;
};

struct plot_tick {
	double at;
	const char *label;
};

struct plot_axis {
	const char *label;
	double low, high;
	unsigned logarithmic;          /* then low > 0 */
	const struct plot_tick *ticks; /* NULL: powers and halves of ten, from `low` to `high` */
	size_t tick_count;
};

struct plot {
	const char *title;
	struct plot_axis x, y;
	const struct plot_line
		*lines; /* at most PLOT_LINES_MAX; what lies outside the axes is put at their ends */
	size_t line_count;
};

#define PLOT_LINES_MAX 10

int plot_write(const char *path, const char *title, const struct plot *panels,
	       size_t count); /* 0 or -errno */

#endif
