package main

import (
	"os"
	"os/exec"
)

// program is mlpipeline itself. The ratio is for a machine that executes a program in 0.45 ms.
var program = group{
	rows: []row{
		{name: "help", what: "--help", against: "exec of a no-op Go program", unit: seconds, ratio: 11, limit: 5e-3},
		{name: "size", what: "the binary", unit: megabytes, limit: 12e6},
	},
	prepare: func(b *bench) (func() ([]pair, error), error) {
		info, err := os.Stat(b.program)
		return func() ([]pair, error) {
			const n = 20
			help, err := b.beside(
				func() (float64, error) { return times(n, func() *exec.Cmd { return b.command(b.program, "--help") }) },
				func() (float64, error) { return times(n, func() *exec.Cmd { return b.command(b.noop) }) },
			)
			if err != nil {
				return nil, err
			}
			return []pair{{help.ours / n, help.floor / n}, {ours: float64(info.Size())}}, nil
		}, err
	},
}
