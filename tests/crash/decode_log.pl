#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# An independent decoder of filemap logs, written from filemap-log-format(5) alone: it shares no line with
# the library. Prints the payload of each record and a newline.
#
#   decode_log.pl DIR      DIR must have no living writer
#
# Exit status: 0 all is right; 2 the directory is no valid log, or a log with damage (what lies below the
# damage is printed first). Each trailer that is met is compared with the frames of its segment.
use strict;
use warnings;

my @table = map {
	my $c = $_;
	$c = $c & 1 ? ($c >> 1) ^ 0x82F63B78 : $c >> 1 for 1 .. 8;
	$c;
} 0 .. 255;

sub crc32c
{
	my $crc = 0xFFFFFFFF;
	$crc = $table[($crc ^ $_) & 255] ^ ($crc >> 8) for unpack 'C*', $_[0];
	return $crc ^ 0xFFFFFFFF;
}

sub refuse
{
	my ($text) = @_;
	$| = 1;
	print '';
	print STDERR "decode_log.pl: $text\n";
	exit 2;
}

sub slurp
{
	my ($path, $offset, $length) = @_;
	open my $file, '<:raw', $path or refuse("$path: $!");
	seek $file, $offset, 0 or refuse("$path: $!");
	my ($bytes, $got) = ('', 0);
	while ($got < $length) {
		my $r = read $file, $bytes, $length - $got, $got;
		refuse("$path: $!") unless defined $r;
		last if $r == 0;
		$got += $r;
	}
	close $file;
	return $bytes;
}

sub is_block
{
	my ($block, $magic) = @_;
	return 0 if length $block != 4096 || substr($block, 0, 8) ne $magic;
	return unpack('V', substr $block, 4092) == crc32c(substr $block, 0, 4092);
}

sub check_version
{
	my ($format, $incompat, $what) = @_;
	refuse("$what: format $format") if $format != 1;
	refuse("$what: unknown incompat bits") if $incompat & ~0x80000000;
}

# ---- meta ----

my $dir = shift;
refuse('usage: decode_log.pl DIR') if !defined $dir || @ARGV;
refuse("$dir: not a log") unless -f "$dir/meta";

my %meta;
for my $slot (0, 1) {
	my $block = slurp("$dir/meta", $slot * 65536, 4096);
	next unless is_block($block, 'FMLGMETA');
	my %m;
	@m{qw(format compat incompat A uuid sequence S epoch state first last durable end from to sealed)} =
		unpack 'x8 V4 a16 Q< Q< V2 Q<7', $block;
	check_version($m{format}, $m{incompat}, 'meta');
	next if ($m{sequence} & 1) != $slot;
	%meta = %m if !%meta || $m{sequence} > $meta{sequence};
}
refuse('meta: no valid slot') unless %meta;
refuse('meta: a discard is pending') if $meta{to};

my ($A, $S, $uuid) = @meta{qw(A S uuid)};
refuse("meta: A = $A") unless $A == 32 || $A == 64 || $A == 128;
refuse("meta: S = $S") if $S < 1 << 20 || $S > 1 << 30 || $S & ($S - 1);

sub start_of { return $_[0] * $S + 4096 }
sub end_of   { return ($_[0] + 1) * $S - 4096 }

sub canonical
{
	my ($L) = @_;
	my $n = int($L / $S);
	return $L == end_of($n) ? start_of($n + 1) : $L;
}

# ---- segments and frames ----

my ($loaded, $segment) = (-1, '');

sub load
{
	my ($n) = @_;
	return if $n == $loaded;
	my $path = sprintf '%s/%016x.seg', $dir, $n;
	refuse("$path: missing") unless -f $path;
	refuse("$path: size") unless -s $path == $S;
	$segment = slurp($path, 0, $S);
	refuse("$path: header") unless is_block(substr($segment, 0, 4096), 'FMLGSEG1');
	my ($format, $compat, $incompat, $a, $u, $number, $s) = unpack 'x8 V4 a16 Q< Q<', $segment;
	check_version($format, $incompat, $path);
	refuse("$path: header does not belong here") if $a != $A || $u ne $uuid || $number != $n || $s != $S;
	$loaded = $n;
}

# The valid frame at L, or undef.
sub frame_at
{
	my ($L) = @_;
	my $n = int($L / $S);
	return undef if $L % $A || $L < start_of($n) || $L + 32 > end_of($n);
	load($n);
	my $at = $L - $n * $S;
	my %f = (L => $L);
	@f{qw(commit crc length type flags epoch back time)} =
		unpack 'Q< V2 v2 V3', substr $segment, $at, 32;
	$f{F} = ($f{commit} & 0xFFFFFFF) * $A;
	return undef if $f{commit} >> 28 != ($L / $A) % (1 << 36);
	return undef if $f{F} < 32 || $L + $f{F} > end_of($n) || $f{epoch} < 1;
	return undef if $f{type} == 2 ? $f{length} != 0 : 32 + $f{length} > $f{F};
	$f{payload} = substr $segment, $at + 32, $f{length};
	my $covered = $uuid . pack('Q<', $L) . substr($segment, $at, 8) . substr($segment, $at + 12, 20) .
		$f{payload};
	return undef if $f{crc} != crc32c($covered);
	$f{promise} = $f{back} == 0xFFFFFFFF || $f{back} * $A > $L ? 0 : $L - $f{back} * $A;
	return \%f;
}

sub records_of
{
	my ($f) = @_;
	return $f->{payload} if $f->{type} == 1;
	return () if $f->{type} == 2;
	refuse("frame at $f->{L}: type $f->{type}") if $f->{type} != 3;
	my ($count) = unpack 'V', $f->{payload};
	my @lengths = unpack "x8 V$count", $f->{payload};
	my $at = 8 + 4 * $count;
	my @items;
	for my $length (@lengths) {
		$at = ($at + 7) & ~7;
		push @items, substr $f->{payload}, $at, $length;
		$at += $length;
	}
	return @items;
}

# ---- trailers ----

sub check_trailer
{
	my ($n, @frames) = @_;
	load($n);
	my $block = substr $segment, $S - 4096;
	if (!is_block($block, 'FMLGSEAL')) {
		refuse("segment $n: no trailer") if $n < $meta{sealed};
		return;
	}
	my ($format, undef, $u, $number, $count, $records, $chain, $zero, $least, $greatest) =
		unpack 'x8 V2 a16 Q<3 V4', $block;
	my ($sum, $min, $max, $group, @index) = (0, 0xFFFFFFFF, 0, 0);
	for my $f (@frames) {
		for (; $group < 256 && $f->{L} - $n * $S >= $group * $S / 256; $group++) {
			push @index, ($f->{L} - $n * $S) / $A, $max;
		}
		my @items = (0) x $f->{records};
		$sum += @items;
		next unless @items;
		$min = $f->{time} if $f->{time} < $min;
		$max = $f->{time} if $f->{time} > $max;
	}
	push @index, 0, $max for $group .. 255;
	refuse("segment $n: trailer format $format") if $format != 1;
	refuse("segment $n: trailer of another segment") if $u ne $uuid || $number != $n;
	refuse("segment $n: trailer counts") if $count != @frames || $records != $sum;
	refuse("segment $n: trailer chain") if $chain != crc32c(join '', map { pack 'V', $_->{crc} } @frames);
	refuse("segment $n: trailer times") if $least != $min || $greatest != $max;
	refuse("segment $n: trailer index") if substr($block, 1024, 2048) ne pack 'V*', @index;
}

# ---- the walk ----

binmode STDOUT;
my ($L, $D, $epoch) = ($meta{first}, $meta{durable}, 0);
$D = $meta{first} if $D < $meta{first};
my $sealed = start_of($meta{sealed});
$D = $sealed if $sealed > $meta{first} && $sealed > $D;

# R4 of a clean log: nothing was committed behind its end.
my $clean = 0;
if ($meta{state} == 2) {
	my ($n, $end) = (int($meta{end} / $S), $meta{end});
	if ($n == $meta{last} + 1) {
		$clean = $end == start_of($n);
	} elsif ($n <= $meta{last}) {
		load($n);
		$clean = substr($segment, $end - $n * $S, 8) eq "\0" x 8;
	}
}
$D = $meta{end} if $clean;

my @frames;
while (int($L / $S) <= $meta{last} && !($clean && $L >= $meta{end})) {
	my $f = frame_at($L);
	last if !$f || $f->{epoch} < $epoch;
	my @records = records_of($f);
	print "$_\n" for @records;
	refuse("records were lost at $L") if $f->{type} == 2 && $f->{flags} == 4;
	$epoch = $f->{epoch};
	$D = $f->{promise} if $f->{promise} > $D;
	push @frames, {L => $L, crc => $f->{crc}, time => $f->{time}, records => scalar @records};
	my $n = int($L / $S);
	$L = canonical($L + $f->{F});
	next if int($L / $S) == $n;
	check_trailer($n, @frames) if $frames[0]{L} == start_of($n);
	@frames = ();
}

# Behind the end a valid frame may still prove that something before it is missing.
my $last = $clean ? -1 : $meta{last};
for my $n (int($L / $S) .. $last) {
	load($n);
	my $at = ($L > start_of($n) ? $L : start_of($n)) - $n * $S;
	pos($segment) = $at;
	while ($segment =~ /[^\0]/g) {
		my $found = pos($segment) - 1;
		$found -= $found % $A;
		last if $found >= $S - 4096;
		my $f = $n * $S + $found > $L ? frame_at($n * $S + $found) : undef;
		$D = $f->{promise} if $f && $f->{promise} > $D;
		pos($segment) = $found + $A;
	}
}
refuse("damaged at $L: everything below $D had been on the device") if $L < $D;
exit 0;
