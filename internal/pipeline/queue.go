package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/outputs"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/plugin"
	"github.com/mlpipeline/mlpipeline/internal/version"
)

// setQueue makes queue the one in force.
func (p *Pipeline) setQueue(queue config.Queue) {
	names := queue.Names
	if queue.Blacklist {
		found, err := plugin.Discover(p.Project.ModelsDir, outputs.Places(p.Project.OutputsDir)...)
		if err != nil {
			for text := range strings.Lines(err.Error()) {
				p.warn(strings.TrimSpace(text))
			}
		}
		names = nil
		out := LeftOut(queue)
		for _, m := range found {
			if !out(m) {
				names = append(names, m.Name)
			}
		}
	}
	p.mu.Lock()
	p.queue, p.blacklist = names, queue.Blacklist
	p.mu.Unlock()
	p.passed = 0
	for _, text := range MissingModels(p.Project, p.queueFile(), queue) { // long before their turn comes
		p.warn(text)
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

// LeftOut returns whether a model is one of those that a blacklist names.
func LeftOut(queue config.Queue) func(plugin.Model) bool {
	names := queue.Listed()
	return func(m plugin.Model) bool { return names[m.Name] || names[m.File] }
}

// Missing reports whether a name is that of nothing in the folder of the models.
func Missing(project config.Project, name string) bool {
	_, err := os.Stat(filepath.Join(project.ModelsDir, filepath.FromSlash(name)))
	return errors.Is(err, os.ErrNotExist)
}

// maxMissing is how many names are told of that do not exist, each with what may be meant.
const maxMissing = 20

// MissingModels returns a warning for each name of a queue file that is that of nothing, with what may be meant.
func MissingModels(project config.Project, file string, queue config.Queue) (warnings []string) {
	var known []string
	missing := 0
	for i, name := range queue.Names {
		if !Missing(project, name) {
			continue
		}
		if missing++; missing > maxMissing {
			continue
		}
		if missing == 1 {
			found, _ := plugin.Discover(project.ModelsDir, outputs.Places(project.OutputsDir)...)
			for _, m := range found {
				known = append(known, m.Name)
			}
		}
		warning := fmt.Sprintf("%s:%d: there is no model %s in %s", file, queue.Lines[i], name, project.ModelsDir)
		if near := meant(name, known); near != "" {
			warning += "; did you mean " + near + "?"
		}
		warnings = append(warnings, warning)
	}
	if missing > maxMissing {
		warnings = append(warnings, fmt.Sprintf("%s: %d more names do not exist in %s", file, missing-maxMissing, project.ModelsDir))
	}
	return warnings
}

// meant is the known name that was probably meant, or "".
func meant(name string, known []string) (near string) {
	for _, k := range known {
		if path.Base(k) == path.Base(name) {
			near = k // models/tiny.go, say, where tiny.go is meant
		}
	}
	return cmp.Or(config.Nearest(name, known), near)
}

// selected returns the models of the queue that the call selects, in order. Those that do not exist are left out.
func (p *Pipeline) selected() []*model {
	var models []*model
	for _, name := range p.queue {
		if m := p.model(name); m != nil {
			models = append(models, m)
		}
	}
	return models
}

// model returns the model of the queue with a name, nil when it does not exist or the call does not select it.
func (p *Pipeline) model(name string) *model {
	m := p.models[name]
	if m == nil {
		if _, err := os.Stat(filepath.Join(p.Project.ModelsDir, filepath.FromSlash(name))); err != nil {
			return nil
		}
		m = &model{name: name}
		p.mu.Lock()
		p.models[name] = m
		p.summary.models++
		p.mu.Unlock()
		for i, c := range name {
			if c == '-' || c == '/' {
				p.longer[name[:i]] = append(p.longer[name[:i]], m)
			}
		}
	}
	if !p.Models.Has(name) {
		return nil
	}
	return m
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
	for i, c := range m.name {
		if short := p.models[m.name[:i]]; short != nil && (c == '-' || c == '/') {
			p.warnNear(short, m)
		}
	}
	for _, long := range p.longer[m.name] {
		p.warnNear(m, long)
	}
}

// warnNear is warnShared for two models, of which the name of long is that of short with a - or a / and more behind it.
func (p *Pipeline) warnNear(short, long *model) {
	if long.name[len(short.name)] == '/' && short.suffixes[""] > 0 && len(long.suffixes) > 0 {
		p.warn(fmt.Sprintf("the model directories of %s lie in that of %s: to empty it is to delete them; a MODEL_DIR_SUFFIX for all versions of %s keeps them apart", long.name, short.name, short.name))
	}
	if dir := sharedDir(short, long); dir != "" {
		p.warn(fmt.Sprintf("%s and %s share the model directory %s", short.name, long.name, dir))
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

// owner returns another model that has the model directory of m with a suffix, or one in it; of those that have the same one it
// is that with the longer name.
func (p *Pipeline) owner(m *model, suffix string) string {
	if suffix == "" && m.found.Kind == plugin.GoFolder {
		for _, long := range p.longer[m.name] {
			if long.name[len(m.name)] == '/' && slices.Contains(p.queue, long.name) {
				return long.name
			}
		}
	}
	for end := len(suffix); end > 0; end = strings.LastIndexByte(suffix[:end], '-') {
		other := m.name + "-" + suffix[:end]
		info, err := os.Stat(filepath.Join(p.Project.ModelsDir, filepath.FromSlash(other)))
		if err != nil {
			continue
		}
		if _, err := plugin.Find(p.Project.ModelsDir, other); err == nil || info.IsDir() {
			return other
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
