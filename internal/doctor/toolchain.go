package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
)

// missing is how much it matters that something is missing which models of these kinds need.
func (d *Doctor) missing(kinds ...plugin.Kind) Level {
	switch needed, known := d.needs(kinds...); {
	case needed:
		return Problem
	case known:
		return Info
	}
	return Warning
}

func (d *Doctor) toolchain(ctx context.Context) []Finding {
	setup := d.setup(ctx)
	if setup.GoErr == nil {
		return []Finding{say(OK, "go", "", "%s", setup.Go)}
	}
	return []Finding{d.unneeded(because(d.missing(plugin.GoFile, plugin.GoFolder), "go", setup.GoErr), "Go")}
}

// unneeded adds that no model needs what is missing.
func (d *Doctor) unneeded(f Finding, language string) Finding {
	if f.Level == Info {
		f.Text, f.Hint = "no model of the queues is in "+language+": "+f.Text, ""
	}
	return f
}

func (d *Doctor) setup(ctx context.Context) plugin.Setup {
	if d.CacheErr != nil {
		return plugin.Setup{GoErr: d.CacheErr, PythonErr: d.CacheErr, PackageErr: d.CacheErr}
	}
	return d.builder.Setup(ctx)
}

func (d *Doctor) pythonPackage(ctx context.Context) []Finding {
	setup := d.setup(ctx)
	if setup.PackageErr != nil {
		return []Finding{because(d.missing(plugin.Python), "package", setup.PackageErr)}
	}
	return []Finding{say(Info, "package", "", "to run a model script by hand: export PYTHONPATH=%s", setup.PythonPackage)}
}

// interpreter asks the Python of the project what it is.
func (d *Doctor) interpreter(ctx context.Context) []Finding {
	level := d.missing(plugin.Python)
	setup := d.setup(ctx)
	if setup.PythonErr != nil {
		return []Finding{d.unneeded(because(level, "python", setup.PythonErr), "Python")}
	}
	cmd := local.Tool(ctx, setup.Python, "-c", "import sys; print('%d.%d.%d %d' % (sys.version_info[:3] + (sys.version_info >= (3, 8),)))")
	cmd.Dir = d.Dir
	out, err := cmd.Output()
	version, fits, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	hint := (&plugin.PythonError{}).Hint()
	switch {
	case err != nil || !ok:
		return []Finding{d.unneeded(say(level, "python", hint, "%s does not tell its version", setup.Python), "Python")}
	case fits != "1":
		return []Finding{d.unneeded(say(level, "python", hint, "%s is Python %s, and models need 3.8 or later", setup.Python, version), "Python")}
	}
	return []Finding{say(OK, "python", "", "Python %s, %s", version, setup.Python)}
}

func size(bytes uint64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
