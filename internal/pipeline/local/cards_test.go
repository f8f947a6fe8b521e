package local

import (
	"context"
	"io"
	"os"
	"testing"
	"time"
)

// What a tool has started is not left behind: it may be a script.
func TestToolEndsWithItsChildren(t *testing.T) {
	lives, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer lives.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := Tool(ctx, "sh", "-c", "sleep 1000 & echo started >&3; wait")
	cmd.ExtraFiles = []*os.File{held}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	held.Close()
	if _, err := io.ReadFull(lives, make([]byte, len("started\n"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("it has ended well")
	}
	if err := lives.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := lives.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v: its child lives", err)
	}
}
