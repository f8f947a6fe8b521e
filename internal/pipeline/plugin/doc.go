// Package plugin goes from a name in the list to a process that talks: it finds models, builds them, and speaks with them.
//
// # Finding
//
// Find looks for one name, Discover for all models below a folder. A model is a folder or a file with package main and func
// main, a Python script, or anything that can be executed. A folder is a model when exactly one of its files that are not
// left out by a build constraint declares func main; a folder with several of them, or with ignored ones only, holds models
// that are files. Finding a model executes nothing.
//
// # Building
//
// A Builder makes Programs of models. It promises:
//
//   - Nothing is run for a model that has not changed: its inputs are read and compared with a manifest. One model that
//     changed costs one `go build`; several of a module are built by one, and when that fails one by one.
//   - A model below a go.mod is built as part of that module, with its dependencies, vendored ones too. A model below none
//     is built as part of a module around the folder of the models, named for that folder, which needs no network and
//     nothing in the module cache. In both cases the SDK is the one that the program carries, unless the user's go.mod
//     replaces it or vendor has it.
//   - Nothing is written to the user's folders, go.mod and go.sum included: the go command gets what it has to see in their
//     place as an overlay.
//   - Messages of the compiler and stack traces name the user's files.
//   - A binary appears in the cache whole, under the name of everything that decides how it comes out, and is never written
//     to again. Several pipelines may build at once.
//   - A source that is edited during a build is built again the next time.
//   - The go command and all its children end with the context.
//
// A Program's Fingerprint stands for the user's part of it alone: sources, embedded files, and the modules of others that
// are linked in. A new version of Go or of mlpipeline, another flag, another machine, and a module that go.mod lists
// although the model does not use it leave it as it is.
//
// Two things are not seen: files that C sources include from other folders, and what a change of PATH does to C compilers
// and pkg-config; there the go command itself sees no more.
//
// # Talking
//
// A Session is the pipeline's side of the protocol of package wire.
package plugin
