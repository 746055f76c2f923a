/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the drawing of plots. A panel has a fixed size; its legend stands to the right of its axes, so that it never
 * hides a line.
 *
 * Invariant: what is written is well-formed XML whatever the names are, and numbers have a point in every locale's
 * output, since no locale is ever set.
 */
#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PANEL_WIDTH 860.0
#define PANEL_HEIGHT 460.0
#define LEFT 76.0
#define TOP 44.0
#define WIDTH 500.0
#define HEIGHT 350.0
#define HEADER 46.0
#define COLUMNS 2u

/* Told apart also by people who see few colours: Okabe and Ito's, and dashes from the sixth line on. */
static const char *const colours[PLOT_LINES_MAX] = {"#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00",
						    "#CC79A7", "#56B4E9", "#8C6D1F", "#5B2A86", "#777777"};

static const char *dashes(size_t line)
{
	static const char *const all[] = {"none", "7 3", "2 3"};
	return line == 0 ? "5 4" : all[line / 6];
}

static void text(FILE *to, double x, double y, const char *attributes, const char *words)
{
	fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
	for (; *words; words++) {
		if (*words == '<')
			fputs("&lt;", to);
		else if (*words == '>')
			fputs("&gt;", to);
		else if (*words == '&')
			fputs("&amp;", to);
		else
			fputc(*words, to);
	}
	fputs("</text>\n", to);
}

static void segment(FILE *to, double x1, double y1, double x2, double y2, const char *colour)
{
	fprintf(to,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"1\"/>\n",
		x1, y1, x2, y2, colour);
}

/* 0 at the low end of the axis, 1 at the high one. */
static double share(const struct plot_axis *axis, double value)
{
	double part;

	if (axis->logarithmic)
		part = log(fmax(value, axis->low) / axis->low) / log(axis->high / axis->low);
	else
		part = (value - axis->low) / (axis->high - axis->low);
	return fmin(fmax(part, 0), 1);
}

static double across(const struct plot *plot, double value)
{
	return LEFT + WIDTH * share(&plot->x, value);
}

static double up(const struct plot *plot, double value)
{
	return TOP + HEIGHT * (1 - share(&plot->y, value));
}

static void tick(FILE *to, const struct plot *plot, const struct plot_axis *axis, double at,
		 const char *label)
{
	const char *colour = *label ? "#cccccc" : "#eeeeee";

	if (axis == &plot->x) {
		segment(to, across(plot, at), TOP, across(plot, at), TOP + HEIGHT, colour);
		text(to, across(plot, at), TOP + HEIGHT + 17, "text-anchor=\"middle\"", label);
	} else {
		segment(to, LEFT, up(plot, at), LEFT + WIDTH, up(plot, at), colour);
		text(to, LEFT - 7, up(plot, at) + 4, "text-anchor=\"end\"", label);
	}
}

static void logarithmic_ticks(FILE *to, const struct plot *plot, const struct plot_axis *axis)
{
	char label[32];

	for (int power = -3; power < 12; power++)
		for (int digit = 1; digit < 10; digit++) {
			const double at = digit * pow(10, power);
			if (at < axis->low * 0.999 || at > axis->high * 1.001)
				continue;
			snprintf(label, sizeof label, "%.10g", at);
			tick(to, plot, axis, at, digit == 1 || digit == 2 || digit == 5 ? label : "");
		}
}

/* About six steps of 1, 2 or 5 times a power of ten. */
static void linear_ticks(FILE *to, const struct plot *plot, const struct plot_axis *axis)
{
	const double rough = (axis->high - axis->low) / 6;
	const double power = pow(10, floor(log10(rough)));
	const double step = power * (rough / power < 1.5 ? 1 : rough / power < 3.5 ? 2 : 5);
	char label[32];

	for (double at = ceil(axis->low / step) * step; at <= axis->high * 1.001; at += step) {
		snprintf(label, sizeof label, "%.10g", at);
		tick(to, plot, axis, at, label);
	}
}

static void ticks(FILE *to, const struct plot *plot, const struct plot_axis *axis)
{
	for (size_t i = 0; i < axis->tick_count; i++)
		tick(to, plot, axis, axis->ticks[i].at, axis->ticks[i].label);
	if (axis->tick_count == 0 && axis->logarithmic)
		logarithmic_ticks(to, plot, axis);
	else if (axis->tick_count == 0)
		linear_ticks(to, plot, axis);
}

static void axes(FILE *to, const struct plot *plot)
{
	char turned[96];

	ticks(to, plot, &plot->x);
	ticks(to, plot, &plot->y);
	segment(to, LEFT, TOP, LEFT, TOP + HEIGHT, "#333333");
	segment(to, LEFT, TOP + HEIGHT, LEFT + WIDTH, TOP + HEIGHT, "#333333");
	text(to, LEFT + WIDTH / 2, TOP + HEIGHT + 40, "text-anchor=\"middle\"", plot->x.label);
	snprintf(turned, sizeof turned, "text-anchor=\"middle\" transform=\"rotate(-90 16 %.1f)\"",
		 TOP + HEIGHT / 2);
	text(to, 16, TOP + HEIGHT / 2, turned, plot->y.label);
	text(to, LEFT, TOP - 14, "font-size=\"15\" font-weight=\"bold\"", plot->title);
}

static void line(FILE *to, const struct plot *plot, size_t number)
{
	const struct plot_line *l = &plot->lines[number];
	const double y = TOP + 12 + 20 * (double)number;
	const double x = LEFT + WIDTH + 14;

	fprintf(to,
		"<g fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\" "
		"stroke-dasharray=\"%s\">\n<path d=\"",
		colours[number], dashes(number));
	for (size_t i = 0; i < l->count; i++)
		fprintf(to, "%c%.1f %.1f", i == 0 ? 'M' : 'L', across(plot, l->x[i]), up(plot, l->y[i]));
	fprintf(to, "\"/>\n<path d=\"M%.1f %.1fL%.1f %.1f\"/>\n</g>\n", x, y, x + 26, y);
	text(to, x + 32, y + 4, "", l->name);
}

static void panel(FILE *to, const struct plot *plot, size_t number)
{
	fprintf(to, "<g transform=\"translate(%.0f %.0f)\">\n", (double)(number % COLUMNS) * PANEL_WIDTH,
		HEADER + (double)(number / COLUMNS) * PANEL_HEIGHT);
	axes(to, plot);
	for (size_t i = 0; i < plot->line_count && i < PLOT_LINES_MAX; i++)
		line(to, plot, i);
	fputs("</g>\n", to);
}

int plot_write(const char *path, const char *title, const struct plot *panels, size_t count)
{
	const size_t columns = count < COLUMNS ? count : COLUMNS;
	const double width = (double)columns * PANEL_WIDTH;
	const double height = HEADER + (double)((count + COLUMNS - 1) / COLUMNS) * PANEL_HEIGHT;
	FILE *to = fopen(path, "w");

	if (!to)
		return -errno;
	fprintf(to,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
		"width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" "
		"font-size=\"12\" fill=\"#222222\">\n<rect width=\"100%%\" height=\"100%%\" "
		"fill=\"#ffffff\"/>\n",
		width, height, width, height);
	text(to, LEFT, 30, "font-size=\"18\" font-weight=\"bold\"", title);
	for (size_t i = 0; i < count; i++)
		panel(to, &panels[i], i);
	fputs("</svg>\n", to);
	if (ferror(to)) {
		fclose(to);
		return -EIO;
	}
	return fclose(to) == 0 ? 0 : -errno;
}
