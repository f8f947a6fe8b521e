// Package starter holds the projects that `mlpipeline init` makes: one for each language, small, and whole.
//
// They lie in _project as they come out: what is in common, and beside it what a language has of its own. The underscore
// keeps the go command from taking the model in there for a package of this module.
package starter

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed all:_project
var project embed.FS

// Languages are those that there is a project in.
var Languages = []string{"go", "python"}

// A File is one of a new project.
type File struct {
	Name string // with slashes
	What string // it is for, in a few words
	from string
}

// Files returns the files of the project in a language, in the order in which somebody would want to read them.
func Files(language string) []File {
	model := map[string]string{"go": "models/iris.go", "python": "models/iris.py"}[language]
	files := []File{
		{Name: model, What: "a model with three versions: change this"},
		{Name: "models.config", What: "what mlpipeline -r runs"},
		{Name: "models_test.config", What: "what mlpipeline tests"},
		{Name: "mlp.config", What: "settings, with their defaults"},
		{Name: "datasets/iris.csv", What: "the data of the model"},
		{Name: "datasets/README.md", What: "its source and licence"},
		{Name: ".gitignore", What: "leaves out what mlpipeline writes"},
		{Name: "README.md", What: "how to use it, in five lines"},
	}
	for i := range files {
		files[i].from = path.Join("_project", language, files[i].Name)
		if _, err := fs.Stat(project, files[i].from); err != nil {
			files[i].from = path.Join("_project", "common", files[i].Name)
		}
	}
	return files
}

// An ExistError says what stands where a file would be written.
type ExistError struct {
	Dir   string
	Names []string
}

func (e *ExistError) Error() string {
	return fmt.Sprintf("%s in %s would be overwritten; nothing is written", strings.Join(e.Names, ", "), e.Dir)
}

// Create writes files into dir, which is made when it does not exist. Where one of them exists already it writes none and
// fails with an ExistError. When it fails later it takes away what it has written.
func Create(dir string, files []File) (err error) {
	exist := &ExistError{Dir: dir}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Name))); err == nil {
			exist.Names = append(exist.Names, f.Name)
		}
	}
	if len(exist.Names) > 0 {
		return exist
	}
	var made []string
	defer func() {
		for i := len(made) - 1; err != nil && i >= 0; i-- {
			os.Remove(made[i])
		}
	}()
	for _, f := range files {
		file := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := makeFolder(filepath.Dir(file), &made); err != nil {
			return err
		}
		text, err := project.ReadFile(f.from)
		if err != nil {
			return err
		}
		out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		made = append(made, file)
		_, err = out.Write(text)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}

// makeFolder makes dir and those around it, and adds them to made.
func makeFolder(dir string, made *[]string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeFolder(parent, made); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	*made = append(*made, dir)
	return nil
}
