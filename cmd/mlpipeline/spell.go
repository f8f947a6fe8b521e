package main

import (
	"fmt"
	"math"
	"time"
)

// clock writes a time of day, with the day when that is not today. What is over is now.
func clock(t, now time.Time) string {
	if t.Before(now) {
		t = now
	}
	t, now = t.Local(), now.Local()
	year, month, day := now.Date()
	switch midnight := time.Date(year, month, day, 0, 0, 0, 0, now.Location()); {
	case t.Before(midnight.AddDate(0, 0, 1)):
		return t.Format("15:04")
	case t.Before(midnight.AddDate(0, 0, 7)):
		return t.Format("Mon 15:04")
	}
	return t.Format("Mon 2 Jan 15:04")
}

// moment writes the time of something that has happened, with how long ago.
func moment(t, now time.Time) string {
	if t.Sub(now) > time.Minute {
		return stamp(t, now) + " (by a clock that is or was ahead)"
	}
	return coming(t, now)
}

// coming writes a time, with how far away it is.
func coming(t, now time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	text := stamp(t, now)
	switch away := now.Sub(t).Round(time.Second).Seconds(); {
	case away > 0:
		text += " (" + spell(away) + " ago)"
	case away < 0:
		text += " (in " + spell(-away) + ")"
	}
	return text
}

// stamp writes a time, with the day when that is another one.
func stamp(t, now time.Time) string {
	form := "15:04:05"
	if t.Local().Format(time.DateOnly) != now.Local().Format(time.DateOnly) {
		form = "2006-01-02 15:04:05"
	}
	return t.Local().Format(form)
}

// counts say how many there are of what, without what there is none of.
type counts []string

func (c *counts) add(n int, what string) {
	if n > 0 {
		*c = append(*c, fmt.Sprintf("%d %s", n, what))
	}
}

// spell writes seconds in one or two units: 12s, 3m20s, 1h02m, 2d03h, 45d.
func spell(seconds float64) string {
	if math.IsNaN(seconds) || seconds < 0 {
		seconds = 0
	}
	s := int64(math.Ceil(min(seconds, 1e9)))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	days := s / (24 * 3600)
	if days >= 30 {
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd%02dh", days, s%(24*3600)/3600)
}

// perSecond writes a rate in three digits: of slow steps what each takes.
func perSecond(rate float64) string {
	value, unit := rate, "it/s"
	if rate < 1 {
		value, unit = 1/rate, "s/it"
	}
	for _, prefix := range []string{"", "k", "M", "G"} {
		switch {
		case value < 9.995:
			return fmt.Sprintf("%.2f%s %s", value, prefix, unit)
		case value < 99.95:
			return fmt.Sprintf("%.1f%s %s", value, prefix, unit)
		case value < 999.5:
			return fmt.Sprintf("%.0f%s %s", value, prefix, unit)
		}
		value /= 1000
	}
	return fmt.Sprintf("%.3gT %s", value, unit)
}
