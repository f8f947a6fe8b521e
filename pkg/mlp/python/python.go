// Package python carries the Python package of models inside the program: the files of `mlpipeline`, and run_model.py, which
// starts a script with that package on its path.
package python

import "embed"

// Files are run_model.py and the package, with paths that start at this folder.
//
//go:embed run_model.py mlpipeline/*.py
var Files embed.FS
