// Package chart makes curves of the metrics that runs have recorded by step, and draws them: in a terminal, and as SVG or
// PNG.
//
// A curve is thinned while its file is read, to a number of points that does not depend on how many were recorded: of each
// stretch of steps it keeps the lowest and the highest value, and whether there was one that is no number. So a spike of
// one step in ten million is still there, and so is a gap. The points that are kept are points that were recorded, never
// averages. A Sparkline, a line of text, has means: it tells the form, and its bounds stand beside it.
package chart
