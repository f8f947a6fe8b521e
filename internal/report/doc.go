// Package report writes pages about runs: one of a night, and one of a single chart.
//
// A page is one file that can be sent by mail: styles, scripts and data are in it, and its content security policy
// forbids every request to anywhere. Charts are drawn by uPlot, which lies in the folder uplot as npm has it. What
// users and models wrote is escaped by each function that writes text, and by JSON where it is data. The size of a page
// is bounded, whatever the number of runs and points: what is left out is said on it.
package report
