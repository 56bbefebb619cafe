package run

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

// Mode is what a run is for.
type Mode string

// The modes.
const (
	Unit  Mode = ""      // go test's own: the checks' tests, no cluster
	E2E   Mode = "e2e"   // make a cluster, judge it, remove it
	Up    Mode = "up"    // make a cluster and leave it
	Check Mode = "check" // judge a cluster that Up made
	Down  Mode = "down"  // remove a cluster that Up made
	Clean Mode = "clean" // remove everything that any run left
)

var modes = []Mode{Unit, E2E, Up, Check, Down, Clean}

// Config is what a user can choose. Every field is a flag of the same name, and a
// key of the same name in the configuration file.
type Config struct {
	Mode    Mode
	Images  image.Source
	Cluster string        // name of the cluster, made up if empty
	Keep    bool          // leave the cluster when the run ends
	Out     string        // folder for reports
	Cache   string        // folder for artefacts
	Settle  time.Duration // how long to wait for the first scrapes
	Watch   time.Duration // how long to watch for rotations
	file    string
}

// UsageError is a mistake in what the user asked for.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// devCluster is the cluster that `make up` makes, if no other name is given.
const devCluster = cluster.Prefix + "dev"

// define declares the flags. It is the one place where options, their defaults
// and their meanings are written down.
func (c *Config) define(flags *flag.FlagSet) error {
	cache, err := image.CacheDir()
	if err != nil {
		return err
	}
	flags.Func("mode", "what to do: e2e, up, check, down or clean", func(s string) error {
		if !slices.Contains(modes, Mode(s)) {
			return errors.New("there is no such mode: use e2e, up, check, down or clean")
		}
		c.Mode = Mode(s)
		return nil
	})
	c.Images = image.Auto
	flags.Func("images", "where images come from: registry, packages or auto", func(s string) (err error) {
		c.Images, err = image.ParseSource(s)
		return err
	})
	flags.Func("cluster", "name of the cluster; must begin with "+cluster.Prefix, func(s string) error {
		if s != "" && !strings.HasPrefix(s, cluster.Prefix) {
			return fmt.Errorf("the name must begin with %s, so that clean-up can tell the cluster from others", cluster.Prefix)
		}
		c.Cluster = s
		return nil
	})
	flags.BoolVar(&c.Keep, "keep", false, "leave the cluster when the run ends")
	flags.StringVar(&c.Out, "out", filepath.Join("reports", "out"), "folder for reports")
	flags.StringVar(&c.Cache, "cache", cache, "folder for artefacts that outlive a run")
	flags.DurationVar(&c.Settle, "settle", time.Minute, "how long to wait for the first scrapes before judging")
	flags.DurationVar(&c.Watch, "watch", 2*time.Minute, "how long to watch for certificate rotations")
	flags.StringVar(&c.file, "config", "", "configuration file (default config.yaml, if there is one)")
	return nil
}

// Load settles the configuration: flags win over the file, the file over
// defaults. It reads the whole command line, go test's own flags included.
func Load(flags *flag.FlagSet, args []string) (Config, error) {
	var c Config
	if err := c.define(flags); err != nil {
		return c, err
	}
	flags.Init(flags.Name(), flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it all
	if err := flags.Parse(args); err != nil {
		return c, UsageError{fmt.Errorf("%w (see `make help` for the options)", err)}
	}
	if flags.NArg() > 0 {
		return c, UsageError{fmt.Errorf("unexpected argument %q: options are given as -name=value", flags.Arg(0))}
	}
	if err := c.readFile(flags); err != nil {
		return c, UsageError{err}
	}
	return c, c.complete()
}

// readFile sets what the file says and the command line does not.
func (c *Config) readFile(flags *flag.FlagSet) error {
	path := c.file
	if path == "" {
		path = "config.yaml"
	}
	content, err := os.ReadFile(path)
	if os.IsNotExist(err) && c.file == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	var settings map[string]any
	if err := yaml.UnmarshalStrict(content, &settings); err != nil {
		return fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range settings {
		if flags.Lookup(name) == nil || strings.HasPrefix(name, "test.") || name == "config" {
			return fmt.Errorf("the configuration %s sets %q, which is not an option", path, name)
		}
		if given[name] {
			continue
		}
		if err := flags.Set(name, fmt.Sprint(value)); err != nil {
			return fmt.Errorf("the configuration %s sets %s to %v: %w", path, name, value, err)
		}
	}
	return nil
}

func (c *Config) complete() error {
	if c.Cluster == "" && (c.Mode == Up || c.Mode == Check || c.Mode == Down) {
		c.Cluster = devCluster
	}
	if c.Mode == Up {
		c.Keep = true
	}
	for _, d := range []*string{&c.Out, &c.Cache} {
		abs, err := filepath.Abs(*d)
		if err != nil {
			return err
		}
		*d = abs
	}
	return nil
}

// Settings are the effective configuration, for the report and its reader.
func (c Config) Settings() map[string]string {
	return map[string]string{
		"mode": string(c.Mode), "images": string(c.Images), "cluster": c.Cluster, "keep": fmt.Sprint(c.Keep),
		"out": c.Out, "cache": c.Cache, "settle": c.Settle.String(), "watch": c.Watch.String(),
	}
}
