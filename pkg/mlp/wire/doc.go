// Package wire is the plugin protocol: what the pipeline and the process of a model say to each other.
//
// It is used by both sides and imports the standard library only. docs/protocol.md tells the same story for somebody
// who writes a model in another language; the messages below are its whole vocabulary.
//
// # Transport
//
// The pipeline starts a model with MLPIPELINE_PROTOCOL set to the version of the protocol that it speaks. Commands are
// read from descriptor 3, events are written to descriptor 4. Both carry one JSON object a line, UTF-8, ended by '\n', at
// most MaxMessage bytes. Standard output and standard error stay the model's own. End of file on descriptor 3 means that
// nothing more will be asked: the model exits with status 0. To be asked to stop is to receive SIGTERM: a model that
// executes a version, and one that waits to be asked, says end with the status interrupted, and exits with status 0.
//
// # Order
//
// A process that is started to run a version has its name in MLPIPELINE_VERSION.
//
//	model     hello                                     a command may have been sent before
//	pipeline  list                                      may be left out
//	model     version*  listed
//	pipeline  trained                                   may be left out, may come again
//	model     trained
//	pipeline  run                                       at most once, last
//	model     (phase metric progress summary result)*  end, then exit with status 0, or not 0 when it has failed
//
// Log and code events may come at any time after hello. A model that cannot tell its versions says end instead, with the
// status failed. One that is told to run without having been asked for its versions may tell that one version first: its
// parameters count as they are then.
//
// # Compatibility
//
// A field or a type of event that the reader does not know is ignored. Anything else that changes gets a new number:
// the pipeline refuses a model whose hello names another one.
package wire
