// Package config reads the files that a user writes: mlp.config, which is read once, and the queue files
// (models.config and models_test.config), which may be edited while they are in use. Plain values come out.
//
// It promises that a half-written file is never taken for a whole one, that no name in a queue leaves the models folder
// or holds a control character, and that whatever a file holds the answer is a value or one [Error].
//
// # Form of the files
//
// INI, in UTF-8 (a byte order mark is skipped), at most 1 MiB, lines ended by LF or CRLF. A line that starts with ; or #
// is a comment; so is what follows a ; or # with white space before it. Sections and keys are written in the case given
// here, each at most once; others are errors. Between key and value stands = or :. A value may stand in quotes, but for
// commands, whose quotes are the shell's. Nothing in a value is expanded but a leading ~/ of a path.
//
// mlp.config holds one section, which may be left out like each of its keys:
//
//	[MLP]
//	models_dir=models        an existing folder, relative to the file's own
//	outputs_dir=             default: outputs in models_dir
//	jobs=1                   a whole number, 1 or more, or auto
//	gpus=                    auto, none, or numbers and UUIDs with commas (0,1,GPU-...); left out: GPUs are left alone
//	gpus_per_version=1       a whole number, 1 or more, with gpus
//	pin=false                1/0, yes/no, true/false, on/off in any case
//	timeout=none             a duration of Go's (90s, 30m, 8h), or none
//	stall=none               the same
//	grace=30s                a duration, 0 allowed
//	on_code_change=rerun     or keep
//	python=python3           found on PATH, or relative to the file's folder when it holds a /
//	metric=                  what versions are judged by: test.accuracy, or with its goal min test.loss
//	on_finish=               a command line for sh; so is on_failure. A # or ; after white space is no part of it
//
// A queue file holds a switch and two lists, one name a line, of which the one that the switch picks must be there:
//
//	[MLP]
//	use_blacklist=False      1/0, yes/no, true/false, on/off in any case
//	[WHITELISTED_MODELS]
//	softmax
//	[BLACKLISTED_MODELS]
//	old_idea.py
//
// A name is the rest of its line: it may hold = : # and spaces, and has the slashes of a path below models_dir.
package config
