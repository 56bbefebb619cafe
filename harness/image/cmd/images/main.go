// Command images prints the image catalogue, or builds the node image from
// packages ahead of a run.
//
//	images list
//	images build
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(int(code))
}

// run carries out one command and returns the exit code, of the same meaning as
// those of the test binary.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) reports.ExitCode {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "usage: images list|build")
		return reports.ExitUsage
	}
	switch args[0] {
	case "list":
		fmt.Fprint(stdout, image.Table(image.Catalogue()))
		return 0
	case "build":
		err := build(ctx, stdout)
		if err == nil {
			return 0
		}
		fmt.Fprintln(stderr, err)
		if ctx.Err() != nil {
			return reports.ExitInterrupted
		}
		return reports.ExitSetupFailed
	}
	fmt.Fprintf(stderr, "unknown command %q: use list or build\n", args[0])
	return reports.ExitUsage
}

func build(ctx context.Context, stdout io.Writer) error {
	cache, err := image.CacheDir()
	if err != nil {
		return err
	}
	root, err := image.Root()
	if err != nil {
		return err
	}
	logf := func(format string, args ...any) { fmt.Fprintf(stdout, format+"\n", args...) }
	e, err := engine.Find(ctx, engine.Options{StateDir: filepath.Join(cache, "engine"), Install: true, Log: logf})
	if err != nil {
		return err
	}
	builder, err := image.NewBuilder(root, cache, e, func(p image.Progress) {
		if p.Finished != "" {
			logf("[%d/%d] %-20s %6s   running: %s", p.Done, p.Total, p.Finished, p.Took.Round(100*time.Millisecond), strings.Join(p.Running, ", "))
		}
	})
	if err != nil {
		return err
	}
	start := time.Now()
	tag, err := builder.Node(ctx)
	if err != nil {
		return err
	}
	logf("%s is ready after %s", tag, time.Since(start).Round(time.Second))
	return nil
}
