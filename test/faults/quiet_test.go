//go:build linux

package faults

import "testing"

// What the other tests look for is there when nothing goes wrong.
func TestAQuietNight(t *testing.T) {
	p := newProject(t)
	p.actor("a", "version v1\nversion v2 suffix=b\n")
	p.queue("a")
	c := p.run(0, "-r", "-u")
	if len(p.blocks(p.host)) != 2 {
		t.Error("not two blocks")
	}
	finished := 0
	for _, e := range p.journal(p.host) {
		if e.Event == "finished" {
			finished++
		}
	}
	if finished != 2 {
		t.Errorf("finished: %d", finished)
	}
	p.until("no process is left", func() bool { return len(p.processes()) == 0 })
	t.Logf("peak %d kB", c.peak)
}
