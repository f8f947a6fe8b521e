// Package pkg carries the source of the SDK inside the program, so that a model builds where there is no network.
package pkg

import "embed"

// SDK is the source of pkg/mlp and pkg/mlp/wire, with paths that start at mlp/. Test files are in it too.
//
//go:embed mlp/*.go mlp/wire/*.go
var SDK embed.FS
