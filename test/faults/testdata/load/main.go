// Command load is a model with as much of everything as its environment says. It speaks the protocol without the SDK, so that a
// process that runs one version does not pay for making all of them.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// number is what a variable says, 0 when it is not set.
func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv("LOAD_" + name))
	return n
}

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
		if json.Unmarshal(line, &c) != nil {
			os.Exit(2)
		}
		switch c.Type {
		case wire.List:
			for i := range number("VERSIONS") {
				events.Put(wire.Event{Type: wire.VersionInfo, Version: version(i)})
			}
			events.Send(wire.Event{Type: wire.Listed})
		case wire.Execute:
			run(events, c)
			return
		}
	}
}

// version makes one. LOAD_DIRS says in how many model directories all of them are, LOAD_PARAMS how many parameters each has,
// LOAD_TEXT how many bytes one of these is long.
func version(i int) *wire.Version {
	v := &wire.Version{Name: "v" + strconv.Itoa(i), BatchSize: 1, Epochs: 1, DataLoader: "none"}
	if n := number("DIRS"); n > 0 {
		v.ModelDirSuffix = strconv.Itoa(i % n)
	}
	params := map[string]string{}
	for p := range number("PARAMS") {
		params["p"+strconv.Itoa(p)] = "x"
	}
	if n := number("TEXT"); n > 0 {
		params["text"] = strings.Repeat("x", n)
	}
	if len(params) > 0 {
		v.Params, _ = json.Marshal(params)
	}
	return v
}

func run(events *wire.Writer, c wire.Command) {
	points, names := number("POINTS"), max(1, number("NAMES"))
	events.Send(wire.Event{Type: wire.Phase, Phase: wire.PhaseTrain, Total: int64(max(1, points))})
	if number("DIRS") > 0 { // whoever else is in the model directory would be seen
		file, err := os.Create(filepath.Join(c.Dir, "in-use"))
		if err == nil {
			err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		}
		if err != nil {
			events.Send(wire.Event{Type: wire.End, Status: wire.Failed, Error: "two in one model directory: " + err.Error()})
			os.Exit(1)
		}
		defer file.Close()
	}
	switch os.Getenv("LOAD_STOP") {
	case "ignored":
		signal.Ignore(syscall.SIGTERM)
	case "heeded":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		go func() {
			<-stop
			events.Send(wire.Event{Type: wire.End, Status: wire.Interrupted})
			os.Exit(0)
		}()
	}
	for i := range number("LINES") {
		fmt.Println("line", i, "of", c.Version)
	}
	for i := range points {
		events.Metric("m"+strconv.Itoa(i%names), int64(i/names+1), float64(i%1000))
	}
	for file := os.Getenv("LOAD_UNTIL"); file != ""; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			break
		}
	}
	if n := number("CAUSE"); n > 0 {
		events.Send(wire.Event{Type: wire.End, Status: wire.Failed, Error: strings.Repeat("because ", n/8)})
		os.Exit(1)
	}
	events.Put(wire.Event{Type: wire.Phase, Phase: wire.PhaseEvaluateTest, Total: 1})
	events.Put(wire.Event{Type: wire.Result, Set: wire.SetTest, Metrics: map[string]wire.Float{"loss": 0.5}})
	events.Send(wire.Event{Type: wire.End, Status: wire.Finished})
}
