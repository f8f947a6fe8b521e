package main

import (
	"os"
	"os/exec"
)

// program is mlpipeline itself. What is to be reached for --help is 5 ms on a machine that executes a program in 0.45 ms.
var program = group{
	rows: []row{
		{name: "help", what: "--help", against: "exec of a no-op Go program", unit: seconds, ratio: 11},
		{name: "size", what: "the binary", unit: megabytes, limit: 12e6},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		info, err := os.Stat(b.program)
		return func() ([]pair, error) {
			const n = 20
			pairs, err := beside(
				func() (float64, error) { return times(n, func() *exec.Cmd { return b.command(b.program, "--help") }) },
				func() (float64, error) { return times(n, func() *exec.Cmd { return b.command(b.noop) }) },
			)
			if err != nil {
				return nil, err
			}
			help := pairs[0]
			return []pair{{help.ours / n, help.floor / n}, {ours: float64(info.Size())}}, nil
		}, err
	},
}
