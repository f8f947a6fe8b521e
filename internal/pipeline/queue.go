package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// setQueue makes queue the one in force.
func (p *Pipeline) setQueue(queue config.Queue) {
	names := queue.Names
	if queue.Blacklist {
		found, err := plugin.Discover(p.Project.ModelsDir, p.Project.OutputsDir)
		if err != nil {
			p.warn(err.Error())
		}
		names = nil
		for _, m := range found {
			if !slices.Contains(queue.Names, m.Name) && !slices.Contains(queue.Names, m.File) {
				names = append(names, m.Name)
			}
		}
	}
	p.mu.Lock()
	p.queue, p.blacklist = names, queue.Blacklist
	p.mu.Unlock()
	for i, name := range queue.Names {
		p.checkName(name, queue.Lines[i])
	}
	if len(p.queue) == 0 {
		p.warn(p.queueFile() + " lists no models: there is nothing to run")
	}
}

func (p *Pipeline) queueFile() string {
	if p.Execute {
		return "models.config"
	}
	return "models_test.config"
}

// checkName warns of a name in a line of the queue file that does not exist, long before its turn comes.
func (p *Pipeline) checkName(name string, line int) {
	p.warn(MissingModel(p.Project, p.queueFile(), name, line))
}

// MissingModel returns a warning when the name in a line of a queue file is that of nothing, with what may be meant. Else it
// returns "".
func MissingModel(project config.Project, file, name string, line int) string {
	if _, err := os.Stat(filepath.Join(project.ModelsDir, filepath.FromSlash(name))); err == nil || !errors.Is(err, os.ErrNotExist) {
		return ""
	}
	warning := fmt.Sprintf("%s:%d: there is no model %s in %s", file, line, name, project.ModelsDir)
	known, _ := plugin.Discover(project.ModelsDir, project.OutputsDir)
	names := make([]string, len(known))
	near := ""
	for i, m := range known {
		names[i] = m.Name
		if path.Base(m.Name) == path.Base(name) {
			near = m.Name // models/tiny.go, say, where tiny.go is meant
		}
	}
	if n := config.Nearest(name, names); n != "" {
		near = n
	}
	if near != "" {
		warning += "; did you mean " + near + "?"
	}
	return warning
}

// selected returns the models of the queue that the call selects, in order. Those that do not exist are left out.
func (p *Pipeline) selected() []*model {
	var models []*model
	for _, name := range p.queue {
		m := p.models[name]
		if m == nil {
			if _, err := os.Stat(filepath.Join(p.Project.ModelsDir, filepath.FromSlash(name))); err != nil {
				continue
			}
			m = &model{name: name}
			p.mu.Lock()
			p.models[name] = m
			p.summary.models++
			p.mu.Unlock()
		}
		if p.Models.Has(name) {
			models = append(models, m)
		}
	}
	return models
}

// warnShared warns of versions that share a model directory: the later ones find what the earlier ones left there.
func (p *Pipeline) warnShared(m *model) {
	users := map[string][]string{} // of the directories that are shared, by suffix
	var shared []string
	for _, d := range m.plan {
		if s := d.ModelDirSuffix; m.suffixes[s] > 1 && d.why != version.Refused {
			if users[s] == nil {
				shared = append(shared, s)
			}
			users[s] = append(users[s], d.Name)
		}
	}
	for _, s := range shared {
		dir := filepath.Base(p.Folder.ModelDir(m.name, s))
		p.warn(fmt.Sprintf("%s: versions %s share the model directory %s; a MODEL_DIR_SUFFIX gives each its own", m.name, list(users[s], 5), dir))
	}
	for _, other := range p.models {
		outer, inner := m, other
		if len(outer.name) > len(inner.name) {
			outer, inner = inner, outer
		}
		if strings.HasPrefix(inner.name, outer.name+"/") && outer.suffixes[""] > 0 && len(inner.suffixes) > 0 {
			p.warn(fmt.Sprintf("the model directories of %s lie in that of %s: to empty it is to delete them; a MODEL_DIR_SUFFIX for all versions of %s keeps them apart", inner.name, outer.name, outer.name))
		}
		for _, pair := range [][2]*model{{m, other}, {other, m}} {
			if dir := sharedDir(pair[0], pair[1]); dir != "" {
				p.warn(fmt.Sprintf("%s and %s share the model directory %s", pair[0].name, pair[1].name, dir))
			}
		}
	}
}

// sharedDir returns a model directory of long that is one of short too: that of "net-wide" is also that of "net" with the
// suffix "wide".
func sharedDir(short, long *model) string {
	rest, ok := strings.CutPrefix(long.name, short.name+"-")
	if !ok {
		return ""
	}
	for s := range long.suffixes {
		if s != "" {
			s = "-" + s
		}
		if short.suffixes[rest+s] > 0 {
			return long.name + s
		}
	}
	return ""
}

// dir is the model directory of a version in execution mode.
func (p *Pipeline) dir(m *model, d due) string { return p.Folder.ModelDir(m.name, d.ModelDirSuffix) }

// list writes names with commas, of many only the first most.
func list(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
