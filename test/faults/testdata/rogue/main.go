// Command rogue is a model that misbehaves. It speaks the plugin protocol by hand, and does one thing wrong: the word that is
// its own name, or the name of the version that it runs. A word is WHAT[:HOW-MUCH][@WHERE]; where is one of the points below,
// train if it is left out. The file beside it with .versions behind its name has the versions, one a line, else it has one, fine.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Points of its own name: start, hello (after it), list, versions (told, but for the last word), listed (after it), idle (when
// nothing more is asked). Points of a version: run, clean, setup, train, evaluate-train, evaluate-test, finish, end (after it).

var self = os.Args[0]

var events = os.NewFile(4, "events")

func say(format string, args ...any) { fmt.Fprintf(events, format+"\n", args...) }

type command struct{ Type, Version, Mode, Dir string }

var asked command

func main() {
	if os.Getenv("MLPIPELINE_PROTOCOL") == "" {
		os.Exit(2)
	}
	own := filepath.Base(self)
	at := func(point string) { do(own, point) }
	at("start")
	say(`{"type":"hello","protocol":1,"sdk":"none"}`)
	at("hello")
	lines := bufio.NewScanner(os.NewFile(3, "commands"))
	for lines.Scan() {
		if json.Unmarshal(lines.Bytes(), &asked) != nil {
			os.Exit(5)
		}
		switch asked.Type {
		case "list":
			at("list")
			text, err := os.ReadFile(self + ".versions")
			if err != nil {
				text = []byte("fine\n")
			}
			for i, name := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
				say(`{"type":"version","version":{"name":%s,"order":%d,"batch_size":1,"epochs":4,"dataloader":"none","model_dir_suffix":"%d"}}`, quote(name), i, i)
			}
			at("versions")
			say(`{"type":"listed","allow_delete_model_dir":true}`)
			at("listed")
		case "trained":
			at("trained")
			say(`{"type":"trained","step":0}`)
		case "run":
			run()
		}
	}
	at("idle")
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

func run() {
	at := func(point string) { do(asked.Version, point) }
	at("run")
	phase := func(name string) { say(`{"type":"phase","phase":"%s","total":4}`, strings.ReplaceAll(name, "-", "_")) }
	for _, name := range []string{"clean", "setup", "train", "evaluate-train", "evaluate-test", "finish"} {
		phase(name)
		at(name)
		switch name {
		case "train":
			for step := 1; step <= 4; step++ {
				say(`{"type":"metric","name":"loss","step":%d,"value":%g,"time":%d}`, step, 1/float64(step), time.Now().UnixMilli())
				say(`{"type":"progress","step":%d,"total":4}`, step)
			}
		case "evaluate-train", "evaluate-test":
			say(`{"type":"result","set":"%s","metrics":{"accuracy":0.5}}`, name[len("evaluate-"):])
		}
	}
	say(`{"type":"end","status":"finished"}`)
	at("end")
	os.Exit(0)
}

// do does what word says if this is the point.
func do(word, point string) {
	word, where, ok := strings.Cut(word, "@")
	if !ok {
		where = "train"
	}
	if where != point {
		return
	}
	what, text, _ := strings.Cut(word, ":")
	n, _ := strconv.Atoi(text)
	if fault := faults[what]; fault != nil {
		fault(n, text)
	}
}

// faults are what a word can stand for: n and text are how much.
var faults = map[string]func(n int, text string){
	// Death.
	"exit":  func(n int, _ string) { os.Exit(n) },
	"panic": func(int, string) { go panic("in a goroutine"); time.Sleep(time.Hour) },
	"segfault": func(int, string) {
		syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -SEGV $$"}, os.Environ())
	},
	"signal": func(n int, _ string) { syscall.Kill(os.Getpid(), syscall.Signal(n)); time.Sleep(time.Hour) },
	"group":  func(n int, _ string) { syscall.Kill(0, syscall.Signal(n)); time.Sleep(time.Second) },
	"parent": func(n int, _ string) { syscall.Kill(os.Getppid(), syscall.Signal(n)) },
	"address-space": func(n int, _ string) { // in MB
		syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: uint64(n) << 20, Max: uint64(n) << 20})
		eat()
	},
	"cgroup": func(_ int, text string) { // its path, / written as +
		dir := strings.ReplaceAll(text, "+", "/")
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			panic(err)
		}
		eat()
	},
	"daemon": func(int, string) { child("exec sleep 1000", true); os.Exit(0) },

	// Silence.
	"hang": func(int, string) { time.Sleep(time.Hour) },
	"deaf": func(int, string) { signal.Ignore(syscall.SIGTERM); time.Sleep(time.Hour) },
	"stop": func(int, string) { syscall.Kill(os.Getpid(), syscall.SIGSTOP); time.Sleep(time.Hour) },

	// Floods, of n MB or n messages.
	"print-line":   func(n int, _ string) { flood(os.Stdout, n, "x") },
	"print-lines":  func(n int, _ string) { flood(os.Stdout, n, "0123456789 a line like many others\n") },
	"eprint-line":  func(n int, _ string) { flood(os.Stderr, n, "x") },
	"eprint-lines": func(n int, _ string) { flood(os.Stderr, n, "0123456789 a line like many others\n") },
	"print-both": func(n int, _ string) {
		var wg sync.WaitGroup
		wg.Go(func() { flood(os.Stdout, n, "0123456789 a line like many others\n") })
		wg.Go(func() { flood(os.Stderr, n, "x") })
		wg.Wait()
	},
	"print-empty": func(n int, _ string) { flood(os.Stdout, n, "\n") },
	"log": func(n int, _ string) {
		flood(events, n, `{"type":"log","level":"info","message":"`+strings.Repeat("a long word ", 80_000)+"\"}\n")
	},
	"message":    func(n int, _ string) { flood(events, n, "x"); io.WriteString(events, "\n") },
	"unfinished": func(n int, _ string) { flood(events, n, "x"); os.Exit(3) },
	"metrics":    metrics,
	"names": func(n int, _ string) {
		messages(n, func(i int) string {
			return fmt.Sprintf(`{"type":"metric","name":"metric %d","step":%d,"value":0.5,"time":1795385931228}`, i, i)
		})
	},
	"long-names": func(n int, _ string) {
		long := strings.Repeat("n", 1_000_000)
		messages(n, func(i int) string {
			return fmt.Sprintf(`{"type":"metric","name":"%s%d","step":%d,"value":0.5,"time":1795385931228}`, long, i, i)
		})
	},
	"progress": func(n int, _ string) {
		messages(n, func(i int) string { return fmt.Sprintf(`{"type":"progress","step":%d,"total":%d}`, i, n) })
	},
	"phases": func(n int, _ string) {
		messages(n, func(i int) string { return fmt.Sprintf(`{"type":"phase","phase":"train","step":%d,"total":%d}`, i, n) })
	},
	"summaries": func(n int, _ string) {
		long := strings.Repeat("s", 1000)
		messages(n, func(i int) string {
			return fmt.Sprintf(`{"type":"summary","source":"model","message":"%d%s"}`, i, long)
		})
	},
	"results": func(n int, _ string) { // each as large as a message can be
		for i := range n {
			var b strings.Builder
			for j := 0; b.Len() < 1_000_000; j++ {
				fmt.Fprintf(&b, `"metric %d of %d":0.5,`, j, i)
			}
			say(`{"type":"result","set":"test","metrics":{%s"last":1}}`, b.String())
		}
	},
	"codes": func(n int, _ string) {
		dir, _ := os.Getwd()
		messages(n, func(i int) string {
			return fmt.Sprintf(`{"type":"code","files":{"%s/models/file%d.py":"%016x"}}`, dir, i, i)
		})
	},
	"versions": func(n int, _ string) { // where it has been asked to run
		messages(n, func(i int) string {
			return fmt.Sprintf(`{"type":"version","version":{"name":"v%d","batch_size":1,"epochs":1,"dataloader":"none","params":{"i":%d}}}`, i, i)
		})
	},
	"wide-versions": func(n int, _ string) {
		wide := strings.Repeat("x", 1_000_000)
		messages(n, func(i int) string {
			return fmt.Sprintf(`{"type":"version","version":{"name":"v%d","batch_size":1,"epochs":1,"dataloader":"none","params":{"x":"%s"}}}`, i, wide)
		})
	},
	"garbage": func(n int, _ string) {
		messages(n, func(i int) string { return fmt.Sprintf("garbage %d \x1b[31m\xff", i) })
	},
	"unknown": func(n int, _ string) {
		messages(n, func(i int) string { return fmt.Sprintf(`{"type":"unknown %d"}`, i) })
	},
	"sets": func(n int, _ string) {
		messages(n, func(i int) string { return fmt.Sprintf(`{"type":"result","set":"%d","metrics":{"a":1}}`, i) })
	},
	"threads": threads,
	"children": func(n int, _ string) {
		for range n {
			child("exec sleep 1000", n%2 == 0)
		}
	},

	// Messages that nobody should send.
	"say":  func(_ int, text string) { say("%s", odd[text]) },
	"half": func(int, string) { io.WriteString(events, `{"type":"end","status":"fini`); os.Exit(0) },
	"half-hang": func(int, string) {
		io.WriteString(events, `{"type":"end","status":"fini`)
		time.Sleep(time.Hour)
	},
	"whole": func(int, string) { io.WriteString(events, `{"type":"end","status":"finished"}`); os.Exit(0) },
	"nul": func(int, string) {
		events.Write(bytes.Repeat([]byte{0}, 5000))
		say("")
		os.Stdout.Write([]byte("a\x00b\n"))
	},
	"utf8": func(int, string) {
		say("{\"type\":\"metric\",\"name\":\"l\xffss\",\"step\":1,\"value\":1}")
		say("{\"type\":\"log\",\"level\":\"\xfe\",\"message\":\"log \xff \xc3\"}")
		say("{\"type\":\"summary\",\"source\":\"model\",\"message\":\"sum \xff\"}")
		os.Stdout.Write([]byte("printed \xff\xfe\n"))
		os.Stderr.Write([]byte("eprinted \xff\xfe\n"))
		say("{\"type\":\"end\",\"status\":\"failed\",\"error\":\"cause \xff\xfe\",\"trace\":\"trace \xff\"}")
		os.Exit(1)
	},
	"escapes": func(int, string) {
		say("%s", `{"type":"log","level":"warn","message":"\u001b[2J\u001b]0;title\u0007log \u202e"}`)
		say("%s", `{"type":"phase","phase":"\u001b[31mphase","total":4}`)
		fmt.Print("\x1b[2J\x1b]0;title\aprinted\x9b31m\n")
		say("%s", `{"type":"end","status":"failed","error":"\u001b[31mcause\nof two lines\u0007","trace":"\u001b[31mtrace"}`)
		os.Exit(1)
	},
	"numbers": func(int, string) {
		for i, value := range []string{"NaN", `"NaN"`, `"Infinity"`, `"-Infinity"`, "Infinity", "-0", "-0.0", "1e308", "-1e308", "1e999", "5e-324", `"0.5"`, "null", "true", "0x10", "01", "1.", "+1"} {
			say(`{"type":"metric","name":"n","step":%d,"value":%s,"time":1795385931228}`, i, value)
		}
		for _, step := range []string{"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-1", "3", "2", "1", "1.5", `"1"`, "1e2", "null"} {
			say(`{"type":"metric","name":"steps","step":%s,"value":1,"time":1795385931228}`, step)
		}
		for _, time := range []string{"-1", "9223372036854775807", "1e30", `"now"`} {
			say(`{"type":"metric","name":"times","step":1,"value":1,"time":%s}`, time)
		}
		say(`{"type":"result","set":"training","metrics":{"a":"NaN","b":"-Infinity","c":-0,"d":1e308}}`)
		say(`{"type":"result","set":"training","metrics":{"a":1e999}}`)
		say(`{"type":"result","set":"training","metrics":["a"]}`)
	},
	"nested": func(n int, _ string) {
		say(`{"type":"summary","message":%s1%s}`, strings.Repeat("[", n), strings.Repeat("]", n))
		say("%s%s", strings.Repeat(`{"a":`, n), strings.Repeat("}", n))
	},
	"long-cause": func(int, string) {
		say(`{"type":"end","status":"failed","error":"%s"}`, strings.Repeat("no! ", 250_000))
		os.Exit(1)
	},
	"end-twice": func(int, string) {
		say(`{"type":"end","status":"finished"}`)
		say(`{"type":"end","status":"failed","error":"no, it has not"}`)
		os.Exit(0)
	},
	"go-on": func(n int, _ string) { // after its last word
		metrics(n, "")
		say(`{"type":"result","set":"test","metrics":{"accuracy":77}}`)
	},

	// Its surroundings.
	"close": func(n int, _ string) {
		for fd := range 5 {
			if n < 0 || fd == n {
				syscall.Close(fd)
			}
		}
	},
	"write-3":    func(int, string) { syscall.Write(3, []byte("hello?\n")) },
	"read-stdin": func(int, string) { io.Copy(io.Discard, os.Stdin) },
	"tty": func(int, string) {
		if f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
			f.WriteString("on the terminal\n")
			os.Exit(9)
		}
	},
	"child": func(n int, _ string) { // that holds all its descriptors; setsid if n is not 0
		child("exec sleep 1000", n != 0)
		if n > 1 {
			os.Exit(n)
		}
	},
	"rm-dir":   func(int, string) { os.RemoveAll(asked.Dir) },
	"rm-all":   func(int, string) { os.RemoveAll(filepath.Dir(asked.Dir)) },
	"dir-file": func(int, string) { os.RemoveAll(asked.Dir); os.WriteFile(asked.Dir, nil, 0o666) },
	"dir-link": func(int, string) { os.RemoveAll(asked.Dir); os.Symlink("/nowhere", asked.Dir) },
	"chmod":    func(int, string) { os.Chmod(asked.Dir, 0) },
	"chdir":    func(int, string) { os.Chdir("/"); os.Setenv("MLPIPELINE_RUN", "another") },
	"rm-self":  func(int, string) { os.Remove(self) },
	"edit-self": func(int, string) { // a program that is being run cannot be written to, but replaced
		text, _ := os.ReadFile(self)
		os.WriteFile(self+".new", append(text, "another program"...), 0o777)
		os.Rename(self+".new", self)
	},
	"limits": func(int, string) {
		for _, what := range []int{syscall.RLIMIT_NOFILE, syscall.RLIMIT_CORE, syscall.RLIMIT_FSIZE} {
			syscall.Setrlimit(what, &syscall.Rlimit{})
		}
	},
}

// odd are messages by their name.
var odd = map[string]string{
	"list":       `[1,2]`,
	"string":     `"end"`,
	"no-type":    `{"status":"finished"}`,
	"type":       `{"type":5}`,
	"end":        `{"type":"end","status":5}`,
	"status":     `{"type":"end","status":"splendid"}`,
	"no-status":  `{"type":"end"}`,
	"reason":     `{"type":"end","status":"failed"}`,
	"total-0":    `{"type":"progress","step":5,"total":0}`,
	"overdone":   `{"type":"progress","step":5000,"total":4}`,
	"undone":     `{"type":"progress","step":-5,"total":-4}`,
	"negative":   `{"type":"phase","phase":"train","step":-7,"total":-9,"train_samples":-1,"test_samples":-9223372036854775808}`,
	"backwards":  `{"type":"phase","phase":"clean"}`,
	"no-phase":   `{"type":"phase"}`,
	"new-phase":  `{"type":"phase","phase":"dream","total":1}`,
	"other":      `{"type":"version","version":{"name":"another","batch_size":0}}`,
	"listed":     `{"type":"listed"}`,
	"hello":      `{"type":"hello","protocol":2}`,
	"code":       `{"type":"code","files":{"/etc/passwd":"x","../..":"","\u0000":"\u001b[31m"}}`,
	"no-version": `{"type":"version"}`,
}

// eat takes memory until there is none.
func eat() {
	var all [][]byte
	for {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		all = append(all, block)
	}
}

// flood writes text again and again, n MB in all.
func flood(w io.Writer, n int, text string) {
	block := bytes.Repeat([]byte(text), max(1, (1<<20)/len(text)))
	for range n {
		w.Write(block)
	}
}

// messages says n messages in as few writes as possible.
func messages(n int, message func(i int) string) {
	w := bufio.NewWriterSize(events, 1<<16)
	for i := range n {
		w.WriteString(message(i))
		w.WriteByte('\n')
	}
	w.Flush()
}

func metrics(n int, _ string) {
	messages(n, func(i int) string {
		return fmt.Sprintf(`{"type":"metric","name":"m","step":%d,"value":%d.5,"time":1795385931228}`, i, i)
	})
}

// threads keeps n threads of the system busy for a moment.
func threads(n int, _ string) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { syscall.Nanosleep(&syscall.Timespec{Nsec: 1e8}, nil) })
	}
	wg.Wait()
}

// child starts a shell that has all descriptors of this process.
func child(script string, setsid bool) {
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "commands"), events}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: setsid}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}
