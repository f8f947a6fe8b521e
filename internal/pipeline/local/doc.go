// Package local runs the processes of models on this machine, and sees to it that none of them outlives the pipeline.
//
// # The guardian
//
// Models are not children of the pipeline but of its guardian: the same program, started once under another name, in a
// session of its own. The two are joined by a socket whose other end only the pipeline holds. The pipeline sends what to
// start, with the descriptors for it, at once or after another process, and what to signal; the guardian answers with how
// each process ended, or why it could not be started.
//
// When the pipeline is gone, however it went, the guardian reads the end of the socket, kills everything that it started and
// exits. On Linux it is the subreaper of what it starts: a process that a model leaves behind becomes its child, in
// whatever session or process group it hides, and is found. It is then killed when its model has ended, not only at the
// end of the pipeline: a left-over worker must not hold the memory or the port that the next version needs. Elsewhere
// only the process group of a model is ended with it.
//
// Should the guardian itself be killed, the kernel kills the models, and what they leave behind comes to the pipeline, which
// does the same.
//
// # Slots
//
// As many versions run at once as there are slots. Each has GPUs that no other has at the time, when mlp.config says which there
// are: its processes see these in CUDA_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES. It has its part of the cores: in the variables by
// which Go, OpenMP and the libraries for linear algebra choose how many threads they use, and when it is pinned, on Linux, by
// the affinity that it inherits from the thread of the guardian that forks it.
//
// # Processes that fork others
//
// A process can be one that others are forked from (fork.go): these are its children, in sessions of their own. It tells the
// guardian of their start and their end, and lets go of their number when the guardian has seen to what they leave behind.
package local
