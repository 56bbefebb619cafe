// Command images prints the image catalogue, or builds the node image from
// packages ahead of a run.
//
//	images list
//	images build
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: images list|build")
		os.Exit(5)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch os.Args[1] {
	case "list":
		fmt.Print(image.Table(image.Catalogue()))
	case "build":
		err = build(ctx)
	default:
		err = fmt.Errorf("unknown command %q: use list or build", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func build(ctx context.Context) error {
	cache, err := image.CacheDir()
	if err != nil {
		return err
	}
	root, err := image.Root()
	if err != nil {
		return err
	}
	logf := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
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
