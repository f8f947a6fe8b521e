package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mlpipeline/mlpipeline/internal/chart"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/runs"
)

// What follows completes words on the command line. It reads models' names and journals, writes nothing, runs nothing, and
// offers nothing where something cannot be read.

// A completer tells the words that may be meant by one that begins with start. Args are those before it.
type completer = func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective)

// maxWords is how many words are offered.
const maxWords = 1000

// complete makes a completer of the words of a project.
func complete(words func(cmd *cobra.Command, start string) []string) completer {
	return func(cmd *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
		return fitting(words(cmd, start), start), cobra.ShellCompDirectiveNoFileComp
	}
}

// fitting are the words that begin with start, each once, in their order. What is behind a tab in a word describes it. Those that
// would be shown otherwise than they are written are left out: they cannot be typed either.
func fitting(words []string, start string) []string {
	seen := map[string]bool{}
	var fit []string
	for _, w := range words {
		text, _, _ := strings.Cut(w, "\t")
		if strings.HasPrefix(text, start) && text != "" && !seen[text] && outputs.Clean(w) == w && len(fit) < maxWords {
			seen[text] = true
			fit = append(fit, w)
		}
	}
	return fit
}

// indexOf is the index of the project that cmd is called for; it is empty when there is none.
func indexOf(cmd *cobra.Command) *runs.Index {
	named, _ := cmd.Flags().GetString("project")
	if folder, _, err := openFolder(named); err == nil {
		if index, err := runs.Read(folder); err == nil {
			return index
		}
	}
	return &runs.Index{}
}

// completeModels offers the models of the project, those that are gone but have run among them.
func completeModels(*app) completer {
	return complete(func(cmd *cobra.Command, _ string) []string {
		named, _ := cmd.Flags().GetString("project")
		_, p, err := openFolder(named)
		if err != nil {
			return nil
		}
		models, _ := plugin.Discover(p.ModelsDir, outputs.Places(p.OutputsDir)...)
		var names []string
		for _, m := range models {
			names = append(names, m.Name)
		}
		for _, r := range slices.Backward(indexOf(cmd).Runs) {
			names = append(names, r.Model)
		}
		return names
	})
}

// completeVersions offers the versions that have run, the latest first.
func completeVersions(*app) completer {
	return complete(func(cmd *cobra.Command, _ string) []string {
		var names []string
		for _, r := range slices.Backward(indexOf(cmd).Runs) {
			names = append(names, r.Version)
		}
		return names
	})
}

// completeRuns offers names of runs for arguments RUN, at most so many of them (0: any number): model/version of what has run,
// and ids once one has been begun. The latest come first.
func completeRuns(_ *app, most int) completer {
	words := complete(func(cmd *cobra.Command, start string) []string {
		index := indexOf(cmd)
		names := runNames(index)
		if start == "" {
			return names
		}
		for _, r := range slices.Backward(index.Runs) {
			names = append(names, r.ID+"\t"+oneLine(r.Name())+" "+r.Status)
		}
		return names
	})
	return func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words(cmd, args, start)
	}
}

// completePlot offers metrics, those that the latest runs have by step, and then runs.
func completePlot(app *app) completer {
	metrics := complete(func(cmd *cobra.Command, _ string) []string {
		named, _ := cmd.Flags().GetString("project")
		folder, _, err := openFolder(named)
		if err != nil {
			return nil
		}
		const most, small = 20, 16 << 20 // of the runs; of a file, so that nobody waits
		index := indexOf(cmd)
		var names []string
		for _, r := range index.Runs[max(0, len(index.Runs)-most):] {
			if info, err := os.Stat(folder.MetricsFile(r.ID)); err == nil && info.Size() < small {
				m, _ := chart.Read(folder, &runs.Index{}, r, "", 1)
				names = append(names, m.Names...)
			}
		}
		slices.Sort(names)
		return names
	})
	named := completeRuns(app, 0)
	return func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return metrics(cmd, args, start)
		}
		return named(cmd, args, start)
	}
}

// completeColumns offers what runs can be sorted by.
func completeColumns(*app) completer {
	return complete(func(cmd *cobra.Command, _ string) []string { return runs.ColumnNames(lateRuns(cmd)) })
}

// lateRuns are the last of the runs: the parameters of very many take a while.
func lateRuns(cmd *cobra.Command) []*runs.Run {
	const most = 1000
	all := indexOf(cmd).Runs
	return all[max(0, len(all)-most):]
}

// completeList offers metrics, parameters and other columns behind those that are there already.
func completeList(*app) completer {
	return complete(func(cmd *cobra.Command, start string) []string {
		before := start[:strings.LastIndexByte(start, ',')+1]
		late := lateRuns(cmd)
		names := valueNames(late)
		if cmd.Name() == "ls" {
			names = append(names, extraColumns...)
		}
		for i := range names {
			names[i] = before + names[i]
		}
		return names
	})
}

// completeCondition offers the names that a condition may begin with.
func completeCondition(*app) completer {
	names := complete(func(cmd *cobra.Command, _ string) []string {
		return append(valueNames(lateRuns(cmd)), "seconds")
	})
	return func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
		words, directive := names(cmd, args, start)
		return words, directive | cobra.ShellCompDirectiveNoSpace
	}
}

// completeHosts offers the machines that have run something.
func completeHosts(*app) completer {
	return complete(func(cmd *cobra.Command, _ string) []string {
		var names []string
		for _, r := range indexOf(cmd).Runs {
			names = append(names, r.Host)
		}
		return names
	})
}

// completeWords offers some words.
func completeWords(words ...string) completer {
	return complete(func(*cobra.Command, string) []string { return words })
}

func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completions registers what completes the flags of cmd and of all commands below it, by their names.
func completions(app *app, cmd *cobra.Command) {
	for name, c := range map[string]completer{
		"project":  completeDirs,
		"model":    completeModels(app),
		"version":  completeVersions(app),
		"status":   completeWords(runs.Statuses...),
		"host":     completeHosts(app),
		"columns":  completeList(app),
		"where":    completeCondition(app),
		"since":    completeWords("1d", "2d", "1w", "12h"),
		"sort":     completeColumns(app),
		"sort-by":  completeColumns(app),
		"format":   completeWords(formats...),
		"progress": completeWords(progressKinds...),
		"number":   cobra.NoFileCompletions,
		"top":      cobra.NoFileCompletions,
		"jobs":     cobra.FixedCompletions([]string{"auto"}, cobra.ShellCompDirectiveNoFileComp),
	} {
		if _, known := cmd.GetFlagCompletionFunc(name); cmd.Flags().Lookup(name) != nil && !known {
			cmd.RegisterFlagCompletionFunc(name, c)
		}
	}
	if cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, c := range cmd.Commands() {
		completions(app, c)
	}
}
