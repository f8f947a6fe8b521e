// Package passport remembers which versions of a model have passed test mode, with what parameters and with what code. It
// knows files only: whether code has changed since is for the caller to tell.
//
// # Files
//
// Test mode writes nothing into the project, so passports lie in the user's cache folder, one file for each model of each
// project. Its name is a hash of the two; its text says both. The first line is about the model:
//
//	{"format":1,"project":"/home/ann/digits","model":"softmax","versions":1,"codes":[{"fingerprint":"1f5f…","files":{"models/softmax/main.go":"13b5…"}}]}
//
// Each further line is about one version, in the order in which the model told them when it was tested last:
//
//	{"version":"slow","parameters":"a12b…","passed":1795385931228,"step":0.004,"seconds":0.02,"steps":860}
//
// parameters is the hash of those that it had then. One that has not passed has neither passed nor what follows; one that
// failed has failed instead. passed is when, in milliseconds since 1970, with the hash of the parameters that it passed with
// if they were others than those it has been told with since, code the place in codes of the code that it passed with.
//
// A file is replaced as a whole, under a lock that all who write in the folder take. It is not synced: what a power cut takes
// is tested again.
package passport
