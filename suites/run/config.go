package run

import (
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
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
	// Explain judges an observation that an earlier run kept.
	Explain Mode = "explain"
	// Compare says what became of a subject from one report to another.
	Compare Mode = "compare"
	// Verify verifies a report that somebody shows.
	Verify Mode = "verify"
	// Attach judges a cluster that is not ours, by reading alone.
	Attach Mode = "attach"
	// Doctor looks for what would make Attach worth little.
	Doctor Mode = "doctor"
	// WatchOver judges, by reading alone, what was scraped of a cluster that is not ours
	// while somebody else changed it.
	WatchOver Mode = "watch"
	// Sandbox judges a set-up of our own in a namespace of a cluster that is not ours.
	Sandbox Mode = "sandbox"
)

var modes = []Mode{Unit, E2E, Up, Check, Down, Clean, Explain, Compare, Verify, Attach, Doctor, WatchOver, Sandbox}

// modeNames are those that a user can give.
const modeNames = "e2e, up, check, down, clean, explain, compare, verify, attach, doctor, watch or sandbox"

// Guest reports whether a run of the mode is in a cluster that is not ours.
func (m Mode) Guest() bool { return m.reads() || m == Sandbox }

// Config is what a user can choose. Every field is a flag of the same name, and a
// key of the same name in the configuration file.
type Config struct {
	Mode   Mode
	Images image.Source
	Mirror image.Mirror // registry to ask in place of every other
	Lock   string       // file with the digests of images; the checkout's own if empty
	// Kubernetes is the minor to run; its release depends on where images come from.
	Kubernetes image.Kubernetes
	// Istio is the version to run, as in "1.30.4".
	Istio string
	// Next is the version of Istio to have at hand for an upgrade; empty for none.
	Next string
	// Prometheus is the version to run, as in "v3.12.0".
	Prometheus string
	// NextPrometheus is the one to have at hand for an upgrade; empty for none.
	NextPrometheus string
	// Operator is the version of the Prometheus Operator to run, as in "v0.92.0", and
	// NextOperator the one to have at hand for an upgrade; empty for none.
	Operator, NextOperator string

	Cluster string        // name of the cluster, made up if empty
	Keep    bool          // leave the cluster when the run ends
	Out     string        // folder for reports
	Cache   string        // folder for artefacts
	Settle  time.Duration // how long to wait for the first scrapes
	Watch   time.Duration // how long to watch for rotations
	Outage  time.Duration // how long to take the control plane away
	Repeat  int           // how often to judge the subject

	Select      *regexp.Regexp    // IDs of the checks to run, nil for all
	Profiles    []string          // profiles to run, empty for all
	Levels      []string          // levels to run, empty for all
	Labels      labels.Selector   // of the checks to run, nil for all
	Skip        map[string]string // reasons for checks not to run, by ID
	DryRun      bool              // say what would run
	Observation string            // file to explain

	Before, After string // reports to compare, each a file or the directory of a run
	Allow         string // file that lists what may be worse, empty for nothing
	Dir           string // directory of the run to verify
	PublicKey     string // file with the key whose signature is expected
	Format        string // how a comparison or a verification is shown

	attachConfig
	inClusterConfig
	sandboxConfig

	file    string
	keyFile string
	key     ed25519.PrivateKey // signs the attestation; nil if there is none
}

// UsageError is a mistake in what the user asked for.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// devCluster is the cluster that `make up` makes, if no other name is given.
const devCluster = cluster.Prefix + "dev"

// defaultOutage is how long istiod is away: longer than it takes to notice, and, with
// the 5 s to 6 s that it was measured to take to come back, shorter than half of the 20 s
// that a certificate of the main job lives, which is the least that remains of one when
// its renewal is due.
const defaultOutage = 3 * time.Second

// define declares the flags. It is the one place where options, their defaults
// and their meanings are written down.
func (c *Config) define(flags *flag.FlagSet) error {
	cache, err := image.CacheDir()
	if err != nil {
		return err
	}
	flags.Func("mode", "what to do: "+modeNames, func(s string) error {
		if !slices.Contains(modes, Mode(s)) {
			return errors.New("there is no such mode: use " + modeNames)
		}
		c.Mode = Mode(s)
		return nil
	})
	c.Images = image.Auto
	flags.Func("images", "where images come from: registry, packages or auto", func(s string) (err error) {
		c.Images, err = image.ParseSource(s)
		return err
	})
	flags.Func("mirror", "registry to pull every image through: host:port, or https://host:port", func(s string) (err error) {
		c.Mirror, err = image.ParseMirror(s)
		return err
	})
	flags.StringVar(&c.Lock, "lock", "", "file with the digests of the images in registry mode (default harness/image/images.lock.json)")
	c.defineVersions(flags)
	flags.Func("cluster", "name of the cluster; must begin with "+cluster.Prefix, func(s string) error {
		c.Cluster = s
		if s == "" {
			return nil
		}
		return cluster.CheckName(s)
	})
	flags.BoolVar(&c.Keep, "keep", false, "leave the cluster when the run ends")
	flags.StringVar(&c.Out, "out", filepath.Join("reports", "out"), "folder for reports")
	flags.StringVar(&c.Cache, "cache", cache, "folder for artefacts that outlive a run")
	c.Settle, c.Watch = time.Minute, 2*time.Minute
	flags.Var((*span)(&c.Settle), "settle", "how long to wait for the first scrapes before judging")
	flags.Var((*span)(&c.Watch), "watch", "how long to watch for certificate rotations")
	c.Outage = defaultOutage
	flags.Var((*span)(&c.Outage), "outage", "how long to take the control plane away")
	flags.IntVar(&c.Repeat, "repeat", 1, "how often to judge the subject on one cluster: shows whether good ones ever fail")
	flags.Func("check", "run only the checks whose ID matches this regular expression", func(s string) (err error) {
		c.Select, err = regexp.Compile(s)
		return err
	})
	flags.Func("profile", "run only these profiles, separated by commas, or all of them", func(s string) error {
		c.Profiles = strings.Split(s, ",")
		return nil
	})
	flags.Func("level", "run only these levels, separated by commas: core, extended, provisional", func(s string) error {
		c.Levels = strings.Split(s, ",")
		return nil
	})
	flags.Func("label", "run only the checks with these labels, as in disruptive=false,level!=extended", func(s string) (err error) {
		c.Labels, err = labels.Parse(s)
		return err
	})
	c.Skip = map[string]string{}
	flags.Func("skip", "do not run a check: id=reason, which the report shows; may be repeated", func(s string) error {
		id, reason, _ := strings.Cut(s, "=")
		c.Skip[id] = reason
		return nil
	})
	flags.BoolVar(&c.DryRun, "dry-run", false, "say what would run, and why the rest would not")
	flags.StringVar(&c.Observation, "observation", "", "file to explain: an observation that an earlier run kept")
	flags.StringVar(&c.Before, "before", "", "report to compare with: its file or the directory of its run")
	flags.StringVar(&c.After, "after", "", "report to compare: its file or the directory of its run")
	flags.StringVar(&c.Allow, "allow", "", "file that lists which checks may be worse, why and until when (default none)")
	flags.StringVar(&c.Dir, "dir", "", "directory of the run to verify (default latest in the folder for reports)")
	flags.StringVar(&c.PublicKey, "public-key", "", "file with the ed25519 key that verifies a signature (default the variable "+reports.PublicKeyVariable+")")
	c.Format = formatText
	flags.Func("format", "how to show a comparison or a verification: text or json", func(s string) error {
		if s != formatText && s != formatJSON {
			return errors.New("use text or json")
		}
		c.Format = s
		return nil
	})
	c.attachConfig.define(flags)
	c.defineInCluster(flags)
	c.defineSandbox(flags)
	flags.StringVar(&c.keyFile, "key", "", "file with the ed25519 key that signs the attestation (default the variable "+reports.SigningKeyVariable+"; unsigned without)")
	flags.StringVar(&c.file, "config", "", "configuration file (default config.yaml, if there is one)")
	return nil
}

// span is a flag for a time that something may take.
type span time.Duration

func (s *span) String() string { return time.Duration(*s).String() }

func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("use a time such as 90s or 2m")
	}
	*s = span(d)
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
	var err error
	if c.key, err = reports.SigningKey(c.keyFile, os.Getenv); err != nil {
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
		return fmt.Errorf("reading the configuration %s: %s", path, strings.Join(strings.Fields(err.Error()), " "))
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if flags.Lookup(name) == nil || strings.HasPrefix(name, "test.") || name == "config" {
			return fmt.Errorf("the configuration %s sets %q, which is not an option", path, name)
		}
		if given[name] {
			continue
		}
		values, err := textOf(name, settings[name])
		for _, v := range values {
			err = errors.Join(err, flags.Set(name, v))
		}
		if err != nil {
			return fmt.Errorf("the configuration %s sets %s to %v: %w", path, name, settings[name], err)
		}
	}
	return nil
}

// textOf is a setting as it would be given on the command line: once, or for what
// may be repeated as often as it takes.
func textOf(name string, value any) ([]string, error) {
	switch v := value.(type) {
	case string, bool, float64, int64:
		return []string{fmt.Sprint(v)}, nil
	case []any:
		if name == "profile" || name == "level" || name == "contexts" {
			var all []string
			for _, each := range v {
				all = append(all, fmt.Sprint(each))
			}
			return []string{strings.Join(all, ",")}, nil
		}
	case map[string]any:
		if name == "skip" {
			var all []string
			for _, id := range slices.Sorted(maps.Keys(v)) {
				all = append(all, fmt.Sprintf("%s=%v", id, v[id]))
			}
			return all, nil
		}
	}
	return nil, errors.New("this option takes one value")
}

func (c *Config) complete() error {
	if c.Cluster == "" && (c.Mode == Up || c.Mode == Check || c.Mode == Down) {
		c.Cluster = devCluster
	}
	if c.Mode == Up {
		c.Keep = true
	}
	if c.Mirror != (image.Mirror{}) && c.Images == image.Auto {
		c.Images = image.Registry // a mirror is named to be used
	}
	if c.Images == image.Packages && (c.Mirror != image.Mirror{} || c.Lock != "") {
		return UsageError{errors.New("images are built from packages, for which no registry is asked: leave -mirror and -lock out, or use -images=registry")}
	}
	if c.Lock != "" {
		if _, err := os.Stat(c.Lock); err != nil {
			return UsageError{fmt.Errorf("the lock with the images' digests: %w (`images lock FILE` writes one)", err)}
		}
	}
	if c.Repeat < 1 {
		return UsageError{fmt.Errorf("repeat is %d: it must be 1 or more", c.Repeat)}
	}
	if err := errors.Join(c.checkWatch(), c.checkFleet(), c.checkInCluster()); err != nil {
		return err
	}
	if c.Mode == Explain && c.Observation == "" {
		return UsageError{errors.New("explain needs -observation=FILE, such as reports/out/latest/observations/conformance.json")}
	}
	if c.Mode == Compare && (c.Before == "" || c.After == "") {
		return UsageError{errors.New("compare needs -before=REPORT and -after=REPORT, each a report.json or the directory of a run")}
	}
	for _, d := range []*string{&c.Out, &c.Cache, &c.Lock} {
		if *d == "" {
			continue
		}
		abs, err := filepath.Abs(*d)
		if err != nil {
			return err
		}
		*d = abs
	}
	if c.Mode == Verify && c.Dir == "" {
		c.Dir = filepath.Join(c.Out, "latest")
	}
	return nil
}

// Settings are the effective configuration, for the report and its reader.
func (c Config) Settings() map[string]string {
	var check string
	if c.Select != nil {
		check = c.Select.String()
	}
	var label string
	if c.Labels != nil {
		label = c.Labels.String()
	}
	var skip []string
	for _, id := range slices.Sorted(maps.Keys(c.Skip)) {
		skip = append(skip, id+"="+c.Skip[id])
	}
	settings := c.settings()
	maps.Copy(settings, c.sandboxSettings())
	maps.Copy(settings, c.inClusterSettings())
	maps.Copy(settings, map[string]string{
		"mode": string(c.Mode), "images": string(c.Images), "mirror": c.Mirror.String(), "lock": c.Lock, "kubernetes": c.Kubernetes.String(), "prometheus": c.Prometheus, "istio": c.Istio, "next": c.Next, "next-prometheus": c.NextPrometheus, "operator": c.Operator, "next-operator": c.NextOperator, "cluster": c.Cluster, "keep": fmt.Sprint(c.Keep),
		"out": c.Out, "cache": c.Cache, "settle": c.Settle.String(), "watch": c.Watch.String(), "outage": c.Outage.String(), "repeat": fmt.Sprint(c.Repeat),
		"check": check, "profile": strings.Join(c.Profiles, ","), "level": strings.Join(c.Levels, ","), "label": label, "skip": strings.Join(skip, "; "),
		"key": c.keyFile, "dry-run": fmt.Sprint(c.DryRun), "observation": c.Observation,
		"before": c.Before, "after": c.After, "allow": c.Allow, "dir": c.Dir, "public-key": c.PublicKey, "format": c.Format,
	})
	return settings
}
