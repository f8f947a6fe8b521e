// Command many is a model that speaks the protocol without the SDK: it makes its BENCH_VERSIONS versions only when it is
// asked for the list, so that a process that runs one does not pay for all.
package main

import (
	"encoding/json"
	"os"
	"strconv"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

const edited = 0 // the line that is edited

func main() {
	if os.Getenv(wire.EnvProtocol) == "" {
		os.Exit(2)
	}
	events := wire.NewWriter(os.NewFile(wire.EventFD, "events"))
	events.Send(wire.Event{Type: wire.Hello, Protocol: wire.Protocol, SDK: "none"})
	commands := wire.NewReader(os.NewFile(wire.CommandFD, "commands"))
	for {
		line, err := commands.Next()
		if err != nil {
			return
		}
		var c wire.Command
		if err := json.Unmarshal(line, &c); err != nil {
			os.Exit(2)
		}
		switch c.Type {
		case wire.List:
			n, _ := strconv.Atoi(os.Getenv("BENCH_VERSIONS"))
			for i := range n {
				v := &wire.Version{Name: "v" + strconv.Itoa(i), Order: i + 1, BatchSize: 1, Epochs: 1, DataLoader: "none"}
				events.Put(wire.Event{Type: wire.VersionInfo, Version: v})
			}
			events.Send(wire.Event{Type: wire.Listed})
		case wire.Execute:
			events.Put(wire.Event{Type: wire.Phase, Phase: wire.PhaseTrain, Total: 1})
			events.Put(wire.Event{Type: wire.Phase, Phase: wire.PhaseEvaluateTest, Total: 1})
			events.Put(wire.Event{Type: wire.Result, Set: wire.SetTest, Metrics: map[string]wire.Float{"loss": 0.5}})
			events.Send(wire.Event{Type: wire.End, Status: wire.Finished})
			return
		}
	}
}
