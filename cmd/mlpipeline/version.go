package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

// programVersion is the version of mlpipeline. CHANGELOG.md tells what is in it.
const programVersion = "0.1.0"

func newVersion(app *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "print the versions of the program, the plugin protocol and the formats on disk",
		Example: "  mlpipeline version\n  mlpipeline version --json",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return printVersion(app, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON value")
	return cmd
}

func printVersion(app *app, asJSON bool) error {
	v := struct {
		Version  string `json:"version"`
		Go       string `json:"go"`
		OS       string `json:"os"`
		Arch     string `json:"arch"`
		Protocol int    `json:"protocol"`
		History  int    `json:"history_format"`
		Run      int    `json:"run_format"`
	}{programVersion, runtime.Version(), runtime.GOOS, runtime.GOARCH, wire.Protocol, outputs.JournalFormat, outputs.RunFormat}
	if asJSON {
		return json.NewEncoder(app.stdout).Encode(v)
	}
	_, err := fmt.Fprintf(app.stdout, "mlpipeline %s (%s, %s/%s)\nplugin protocol %d, history format %d, run format %d\n",
		v.Version, v.Go, v.OS, v.Arch, v.Protocol, v.History, v.Run)
	return err
}
