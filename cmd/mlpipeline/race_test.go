//go:build race

package main

// withRace tells that the tests run under the race detector: then the program does too.
const withRace = true
