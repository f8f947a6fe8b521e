// Package faults holds the tests of what must survive a night: kills, full disks, models that misbehave, two of everything,
// bad input, load. They do it to the program itself, with real processes and files, and read what it leaves behind with
// decoders of their own. `make test` runs a part of each, `make faults` (the flag -full) all of it;
// docs/reliability.md has the figures.
package faults
